#include <algorithm>
#include <string_view>

#include "data/concat.h"
#include "data/sources.h"
#include "sdg/config/find.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/data/label_gaps.h"
#include "sdg/io/file_kind.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::data {
namespace {

// Of a file whose name says nothing: by its first bytes; kAuto where they say nothing either.
Format format_of_bytes(const std::filesystem::path& path) {
  constexpr uint64_t kBegin = 512, kMagicAt = 257;  // where a tar of POSIX says "ustar"
  const io::RandomAccessFile file(path);
  const auto bytes = file.read(0, std::min(file.size(), kBegin));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() == kBegin && text.substr(kMagicAt, 5) == "ustar") return Format::kTar;
  const auto other = io::other_kind(bytes);
  if (other.empty()) return Format::kAuto;
  throw Error(cat("data.path: expected a folder, a .tar, a .safetensors file or an image, got ", path.string(), ": ",
                  other, io::unpack_advice(bytes, path)));
}

Format format_of(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return Format::kFolder;
  const auto suffix = io::lower_suffix(path);
  if (suffix == ".tar") return Format::kTar;
  if (suffix == ".safetensors")
    return is_latents(tensors::read_tensor_header(path).metadata) ? Format::kLatents : Format::kTensors;
  if (has_image_extension(path.string())) return Format::kImage;
  if (const auto format = format_of_bytes(path); format != Format::kAuto) return format;
  throw Error(cat("data.path: expected a folder, a .tar, a .safetensors file or an image, got ", path.string(),
                  " (data.format says what it is where the name does not)"));
}

OpenedData open_as(Format format, const std::filesystem::path& path) {
  switch (format) {
    case Format::kFolder:
      return open_folder(path);
    case Format::kTar:
      return open_tar(path);
    case Format::kTensors:
      return open_tensors(path);
    case Format::kLatents:
      return open_latents(path);
    case Format::kImage:
      return open_image(path);
    case Format::kAuto:
      break;
  }
  return open_as(format_of(path), path);
}

// The files of a folder that holds nothing but parts of a data set, by name; none where images or folders lie in it.
std::vector<std::filesystem::path> shards_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(folder, failure), end; entry != end && !failure;
       entry.increment(failure)) {
    const auto name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code gone;
    if (entry->is_directory(gone) || has_image_extension(name)) return {};
    const auto suffix = io::lower_suffix(name);
    if (suffix == ".safetensors" || suffix == ".tar") found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::filesystem::path> with_shards(const std::vector<std::filesystem::path>& named, Format format) {
  std::vector<std::filesystem::path> out;
  for (const auto& path : named) {
    const bool may_hold = format != Format::kFolder && format != Format::kImage && std::filesystem::is_directory(path);
    const auto shards = may_hold ? shards_in(path) : std::vector<std::filesystem::path>();
    if (shards.empty()) {
      out.push_back(path);
    } else {
      out.insert(out.end(), shards.begin(), shards.end());
    }
  }
  return out;
}

std::string joined_paths(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::string> out;
  for (const auto& path : paths) out.push_back(path.string());
  return join(out, ",");
}

}  // namespace

OpenedData open_data(const DataOptions& options, const std::string& config_dir) {
  SDG_CHECK_USAGE(!options.path.empty(),
                  "data.path: expected a folder, a .tar or a .safetensors file, got an empty path");
  const auto named = config::find_parts_beside(options.path, config_dir);
  std::vector<OpenedData> parts;
  auto first_format = Format::kAuto;
  for (const auto& path : with_shards(named, options.format)) {
    const auto format = options.format == Format::kAuto ? format_of(path) : options.format;
    if (parts.empty()) first_format = format;
    SDG_CHECK(format == first_format, "data.path: expected parts of one kind, got ", parts.front().path, " (",
              config::name(first_format), ") and ", path.string(), " (", config::name(format), ")");
    parts.push_back(open_as(format, path));
    parts.back().path = path.string();
  }
  const bool of_tensors = first_format == Format::kTensors || first_format == Format::kLatents;
  OpenedData data = parts.size() == 1 ? parts.front() : concat(parts, of_tensors);
  data.path = joined_paths(named);
  if (parts.size() > 1)
    data.description = describe(cat(config::name(first_format), " ", data.path, " (", parts.size(), " parts)"), data);
  if (of_tensors && data.labels) warn_of_gaps(data.labels->labels(), "data: " + data.path);
  return data;
}

}  // namespace sdg::data
