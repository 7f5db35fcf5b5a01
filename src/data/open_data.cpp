#include <algorithm>
#include <string_view>

#include "data/sources.h"
#include "sdg/config/find.h"
#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::data {
namespace {

// Of a file whose name says nothing: by its first bytes.
std::string format_of_bytes(const std::filesystem::path& path) {
  constexpr uint64_t kBegin = 512, kMagicAt = 257;  // where a tar of POSIX says "ustar"
  const io::RandomAccessFile file(path);
  const auto bytes = file.read(0, std::min(file.size(), kBegin));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() == kBegin && text.substr(kMagicAt, 5) == "ustar") return "tar";
  const auto other = io::other_kind(bytes);
  if (other.empty()) return "";
  throw Error(cat("data.path: expected a folder, a .tar, a .safetensors file or an image, got ", path.string(), ": ",
                  other, io::unpack_advice(bytes, path)));
}

std::string format_of(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return "folder";
  const auto suffix = io::lower_suffix(path);
  if (suffix == ".tar") return "tar";
  if (suffix == ".safetensors") return is_latents(tensors::read_tensor_header(path).metadata) ? "latents" : "tensors";
  if (has_image_extension(path.string())) return "image";
  if (const auto format = format_of_bytes(path); !format.empty()) return format;
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
