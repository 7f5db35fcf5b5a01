#include "data/sources.h"
#include "sdg/config/find.h"
#include "sdg/core/error.h"

namespace sdg::data {
namespace {

std::string format_of(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return "folder";
  if (path.extension() == ".tar") return "tar";
  if (path.extension() == ".safetensors") return "tensors";
  throw Error(cat("data.path: expected a folder, a .tar or a .safetensors file, got ", path.string(),
                  " (data.format says what it is where the name does not)"));
}

}  // namespace

OpenedData open_data(const DataOptions& options, const std::string& config_dir) {
  SDG_CHECK_USAGE(!options.path.empty(),
                  "data.path: expected a folder, a .tar or a .safetensors file, got an empty path");
  const auto path = config::find_beside(options.path, config_dir);
  const std::string format = options.format == "auto" ? format_of(path) : options.format;
  if (format == "folder") return open_folder(path);
  if (format == "tar") return open_tar(path);
  if (format == "tensors") return open_tensors(path);
  throw UsageError(cat("data.format: expected auto, folder, tar or tensors, got '", format, "'"));
}

}  // namespace sdg::data
