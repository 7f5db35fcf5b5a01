#include "sdg/io/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

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

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_pointer(std::string_view text) {
  return text.starts_with("version https://git-lfs.github.com/spec/");
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
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  const auto begin = lower_case(text.substr(0, 14));
  return begin.starts_with("<!doctype html") || begin.starts_with("<html") || begin.starts_with("<head");
}

std::string other_kind(std::span<const std::byte> begin) {
  const auto text = text_of(begin);
  if (text.empty()) return "the file is empty";
  if (is_pointer(text)) return "a Git LFS pointer, not the file itself; git lfs pull fetches it";
  if (is_web_page(text)) return "a web page (HTML); a download probably went wrong";
  if (is_zip(text)) return "a zip archive";
  const auto* packing = packing_of(text);
  return packing ? std::string(packing->name) : "";
}

std::string unpack_advice(std::span<const std::byte> begin, const std::filesystem::path& path) {
  const auto text = text_of(begin);
  if (is_zip(text)) {
    return cat("; unpack it first: unzip ", quoted(path), " -d ", quoted(path.parent_path() / path.stem()));
  }
  const auto* packing = packing_of(text);
  if (!packing) return "";
  if (packing->unpack.empty()) return "; unpack it first";
  return cat("; unpack it first: ", packing->unpack, " ", quoted(path), " > ", quoted(unpacked_name(path, *packing)));
}

}  // namespace sdg::io
