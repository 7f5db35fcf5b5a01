#include "data/sources.h"
#include "sdg/config/find.h"
#include "sdg/core/error.h"
#include "sdg/io/tensor_file.h"

namespace sdg::data {
namespace {

std::string format_of(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return "folder";
  if (path.extension() == ".tar") return "tar";
  if (path.extension() == ".safetensors")
    return is_latents(io::read_tensor_header(path).metadata) ? "latents" : "tensors";
  if (has_image_extension(path.string())) return "image";
  throw Error(cat("data.path: expected a folder, a .tar, a .safetensors file or an image, got ", path.string(),
                  " (data.format says what it is where the name does not)"));
}

OpenedData open_as(const std::string& format, const std::filesystem::path& path) {
  if (format == "folder") return open_folder(path);
  if (format == "tar") return open_tar(path);
  if (format == "tensors") return open_tensors(path);
  if (format == "latents") return open_latents(path);
  if (format == "image") return open_image(path);
  throw UsageError(cat("data.format: expected auto, folder, tar, tensors, latents or image, got '", format, "'"));
}

}  // namespace

OpenedData open_data(const DataOptions& options, const std::string& config_dir) {
  SDG_CHECK_USAGE(!options.path.empty(),
                  "data.path: expected a folder, a .tar or a .safetensors file, got an empty path");
  const auto path = config::find_beside(options.path, config_dir);
  OpenedData data = open_as(options.format == "auto" ? format_of(path) : options.format, path);
  data.path = path.string();
  return data;
}

}  // namespace sdg::data
