#include "sdg/io/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

#include "sdg/core/error.h"

namespace sdg::io {
namespace {

using namespace std::string_view_literals;

struct Packing {
  std::string_view magic, name;
  std::string_view unpack;  // a command that takes a file and writes to standard output; empty: none
  std::array<std::string_view, 2> suffixes;
};
constexpr std::array<Packing, 7> kPackings{{
    {"\x1F\x8B"sv, "gzip-compressed", "gzip -dc", {".gz", ".tgz"}},
    {"BZh"sv, "bzip2-compressed", "bzip2 -dc", {".bz2", ".tbz2"}},
    {"\xFD"
     "7zXZ\0"sv,
     "xz-compressed",
     "xz -dc",
     {".xz", ".txz"}},
    {"\x28\xB5\x2F\xFD"sv, "zstd-compressed", "zstd -dc", {".zst", ".tzst"}},
    {"\x04\x22\x4D\x18"sv, "lz4-compressed", "lz4 -dc", {".lz4", ""}},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7-Zip archive", "", {".7z", ""}},
    {"Rar!\x1A\x07"sv, "a RAR archive", "", {".rar", ""}},
}};

// What else is told by its first bytes. Nobody unpacks these, and an image or an archive may be meant by some.
constexpr std::array kOthers{
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

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Empty where it is no pointer.
std::string git_lfs(std::string_view text) {
  if (!text.starts_with("version https://git-lfs.github.com/spec/")) return {};
  const auto at = text.find("\nsize ");
  const auto size =
      at == std::string_view::npos ? std::string_view() : text.substr(at + 6, text.find('\n', at + 1) - at - 6);
  return cat("a Git LFS pointer: the file itself", size.empty() ? "" : cat(" of ", size.substr(0, 20), " bytes"),
             " was not fetched (git lfs pull)");
}

// Behind a byte order mark and white space.
std::string_view first_word(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  return text;
}

bool is_zip(std::string_view text) {
  return text.starts_with("PK\x03\x04"sv) || text.starts_with("PK\x05\x06"sv);
}

const Packing* packing_of(std::string_view text) {
  const auto* found =
      std::find_if(kPackings.begin(), kPackings.end(), [&](const auto& row) { return text.starts_with(row.magic); });
  return found == kPackings.end() ? nullptr : found;
}

// For a shell.
std::string quoted(const std::filesystem::path& path) {
  std::string out = "'";
  for (const char c : path.string()) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// "x.tar" of "x.tar.gz" and "x.tgz", "x-unpacked.tar" of "x.tar".
std::filesystem::path unpacked_name(const std::filesystem::path& path, const Packing& packing) {
  const auto suffix = lower_suffix(path);
  const auto stem = path.parent_path() / path.stem();
  const bool known =
      !suffix.empty() && std::find(packing.suffixes.begin(), packing.suffixes.end(), suffix) != packing.suffixes.end();
  if (!known) return stem.string() + "-unpacked.tar";
  return lower_suffix(stem) == ".tar" ? stem : std::filesystem::path(stem.string() + ".tar");
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string lower_suffix(const std::filesystem::path& path) {
  return lower_case(path.extension().string());
}

bool is_web_page(std::string_view text) {
  const auto begin = lower_case(first_word(text).substr(0, 14));
  return begin.starts_with("<!doctype html") || begin.starts_with("<html") || begin.starts_with("<head");
}

std::string other_kind(std::span<const std::byte> begin) {
  const auto text = text_of(begin);
  if (text.empty()) return "the file is empty";
  if (auto pointer = git_lfs(text); !pointer.empty()) return pointer;
  if (is_web_page(text)) return "a web page (HTML): the download gave a page instead of the file";
  if (is_zip(text)) return "a zip archive";
  const auto* packing = packing_of(text);
  return packing ? std::string(packing->name) : "";
}

std::string unpack_advice(std::span<const std::byte> begin, const std::filesystem::path& path) {
  const auto text = text_of(begin);
  if (is_zip(text)) {
    if (lower_suffix(path) == ".npz") return "";  // of arrays, which no program that unpacks makes files of images of
    return cat("; unpack it first: unzip ", quoted(path), " -d ", quoted(path.parent_path() / path.stem()));
  }
  const auto* packing = packing_of(text);
  if (!packing) return "";
  if (packing->unpack.empty()) return "; unpack it first";
  return cat("; unpack it first: ", packing->unpack, " ", quoted(path), " > ", quoted(unpacked_name(path, *packing)));
}

namespace {

// Of what people read; empty where it is none.
std::string kind_of_text(std::string_view text) {
  text = first_word(text);
  if (text.empty()) return {};
  if (lower_case(text.substr(0, 5)) == "<?xml")
    return "an XML document: the download gave a message instead of the file";
  const bool readable = std::all_of(text.begin(), text.end(),
                                    [](unsigned char c) { return c >= ' ' || c == '\n' || c == '\r' || c == '\t'; });
  if (!readable) return {};
  std::string shown;
  for (const char c : text.substr(0, kShown)) shown += c >= ' ' && c < 127 ? c : '?';
  return cat(text.front() == '{' || text.front() == '[' ? "JSON" : "text", " that begins \"", shown, "\"");
}

std::string kind_of(std::string_view text) {
  if (text.size() > 8 && text[8] == '{' && text.substr(4, 4) == "\0\0\0\0"sv) return "a safetensors file";
  if (is_zip(text)) return "a zip archive, as torch.save and numpy.savez write";
  if (const auto* packing = packing_of(text)) return cat(packing->name, ": unpack it first");
  if (auto other = other_kind(std::as_bytes(std::span(text))); !other.empty()) return other;
  for (const auto& [beginning, kind] : kOthers)
    if (text.starts_with(beginning)) return std::string(kind);
  if (text.size() > kTarMagicAt && text.substr(kTarMagicAt).starts_with("ustar"))
    return "a tar archive: unpack it first";
  const bool is_pickle = text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5;
  return is_pickle ? "a Python pickle that torch.save did not write" : kind_of_text(text);
}

}  // namespace

std::string what_it_is(std::string_view first_bytes, uint64_t file_size) {
  if (file_size == 0) return ": the file is empty";
  const auto kind = first_bytes.empty() ? std::string() : kind_of(first_bytes);
  return kind.empty() ? "" : ": this is " + kind;
}

}  // namespace sdg::io
