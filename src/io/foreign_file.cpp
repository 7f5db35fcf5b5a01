// What people give as weights or arrays and is something else.
#include "io/foreign_file_impl.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"

namespace sdg::io {
namespace {
using std::string_view_literals::operator""sv;

constexpr std::array kBeginnings{
    std::pair{"\x1f\x8b"sv, "a gzip file: unpack it first (gunzip, or tar xf for .tar.gz)"sv},
    std::pair{"BZh"sv, "a bzip2 file: unpack it first"sv},
    std::pair{"\xfd\x37zXZ\0"sv, "an xz file: unpack it first"sv},
    std::pair{"\x28\xb5\x2f\xfd"sv, "a zstd file: unpack it first"sv},
    std::pair{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive: unpack it first"sv},
    std::pair{"Rar!\x1a\x07"sv, "a rar archive: unpack it first"sv},
    std::pair{"PK\x03\x04"sv, "a zip, as torch.save and numpy.savez write"sv},
    std::pair{"\x93NUMPY"sv, "a NumPy array (.npy)"sv},
    std::pair{"\x89HDF\r\n\x1a\n"sv, "an HDF5 file"sv},
    std::pair{"GGUF"sv, "a GGUF file"sv},
    std::pair{"PAR1"sv, "a Parquet file"sv},
    std::pair{"\x89PNG\r\n"sv, "a PNG picture"sv},
    std::pair{"\xff\xd8\xff"sv, "a JPEG picture"sv},
    std::pair{"GIF8"sv, "a GIF picture"sv},
    std::pair{"%PDF-"sv, "a PDF document"sv},
    std::pair{"\x7f"
              "ELF"sv,
              "a program (ELF)"sv},
};
constexpr size_t kTarMagicAt = 257, kShown = 40;  // bytes

std::string git_lfs(std::string_view text) {
  const auto at = text.find("\nsize ");
  if (at == std::string_view::npos) return {};
  const auto number = text.substr(at + 6, text.find('\n', at + 1) - at - 6);
  return cat(" of ", number.substr(0, 20), " bytes");
}

// Of what people read; empty where it is none.
std::string kind_of_text(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  if (text.empty()) return {};
  const auto start = lower_case(text.substr(0, 100));
  if (start.starts_with("version https://git-lfs"))
    return cat("a Git LFS pointer: the file itself", git_lfs(text), " was not fetched (git lfs pull)");
  if (is_web_page(text)) return "an HTML page: the download gave a page instead of the file";
  if (start.starts_with("<?xml")) return "an XML document: the download gave a message instead of the file";
  const bool readable = std::all_of(text.begin(), text.end(),
                                    [](unsigned char c) { return c >= ' ' || c == '\n' || c == '\r' || c == '\t'; });
  if (!readable) return {};
  std::string shown;
  for (const char c : text.substr(0, kShown)) shown += c >= ' ' && c < 127 ? c : '?';
  return cat(text.front() == '{' || text.front() == '[' ? "JSON" : "text", " that begins \"", shown, "\"");
}

std::string kind_of(std::string_view first_bytes) {
  if (first_bytes.size() > 8 && first_bytes[8] == '{' && first_bytes.substr(4, 4) == "\0\0\0\0"sv)
    return "a safetensors file";
  for (const auto& [beginning, kind] : kBeginnings)
    if (first_bytes.starts_with(beginning)) return std::string(kind);
  if (first_bytes.size() > kTarMagicAt && first_bytes.substr(kTarMagicAt).starts_with("ustar"))
    return "a tar archive: unpack it first";
  const bool is_pickle =
      first_bytes.size() > 2 && first_bytes[0] == '\x80' && first_bytes[1] >= 2 && first_bytes[1] <= 5;
  if (is_pickle) return "a Python pickle that torch.save did not write";
  return kind_of_text(first_bytes);
}

}  // namespace

std::string what_it_is(std::string_view first_bytes, uint64_t file_size) {
  if (file_size == 0) return ": the file is empty";
  const auto kind = kind_of(first_bytes);
  return kind.empty() ? "" : ": this is " + kind;
}

}  // namespace sdg::io
