#include "io/tar_records_impl.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"

namespace sdg::io {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kMaxExtension = 1 << 20;  // bytes of a long name or of pax records

// One 512-byte header (POSIX.1-1988 ustar and its GNU variant).
class Header {
 public:
  Header(const RandomAccessFile& file, uint64_t at) : where_(cat(file.path().string(), ": header at byte ", at)) {
    file.read_into(at, std::as_writable_bytes(std::span(block_)));
  }

  bool is_end() const {
    return std::all_of(block_.begin(), block_.end(), [](char c) { return c == 0; });
  }
  char type() const { return block_[156]; }
  std::string name() const {
    const auto name = field(0, 100);
    const bool posix = std::string_view(block_.data() + 257, 6) == std::string_view("ustar\0", 6);
    const auto prefix = posix ? field(345, 155) : std::string_view();
    return prefix.empty() ? std::string(name) : cat(prefix, "/", name);
  }
  std::string link() const { return std::string(field(157, 100)); }
  uint64_t size() const { return number(124, 12); }
  // Of the old GNU format: does another block of the map of holes follow?
  bool has_more_holes(size_t flag) const { return block_[flag] != 0; }

  void check(uint64_t at) const {
    uint64_t sum = 0;
    int64_t signed_sum = 0;  // some old writers summed signed characters
    for (size_t i = 0; i < block_.size(); ++i) {
      const char c = i >= 148 && i < 156 ? ' ' : block_[i];
      sum += static_cast<unsigned char>(c);
      signed_sum += static_cast<signed char>(c);
    }
    const uint64_t stored = number(148, 8);
    const bool right = stored == sum || static_cast<int64_t>(stored) == signed_sum;
    SDG_CHECK(right, where_, at == 0 ? ": not an uncompressed tar file" : ": damaged tar file", " (wrong checksum)");
  }

 private:
  std::string_view field(size_t at, size_t width) const {
    const std::string_view text(block_.data() + at, width);
    return text.substr(0, text.find('\0'));
  }
  // Octal digits, or big-endian binary where the first bit is set (GNU, for files of 8 GiB and more).
  uint64_t number(size_t at, size_t width) const {
    uint64_t value = 0;
    if (static_cast<unsigned char>(block_[at]) & 0x80U) {
      value = static_cast<unsigned char>(block_[at]) & 0x7FU;
      for (size_t i = 1; i < width; ++i) {
        SDG_CHECK(value >> 54 == 0, where_, ": damaged tar file (number too large)");
        value = value << 8 | static_cast<unsigned char>(block_[at + i]);
      }
      return value;
    }
    bool ended = false;
    for (size_t i = at; i < at + width; ++i) {
      const char c = block_[i];
      if (c == ' ' || c == '\0') {
        ended = ended || value > 0;
        continue;
      }
      SDG_CHECK(c >= '0' && c <= '7' && !ended, where_,
                at == 148 ? ": not an uncompressed tar file" : ": damaged tar file", " (a number is not octal)");
      value = value * 8 + static_cast<uint64_t>(c - '0');
    }
    return value;
  }

  std::string where_;
  std::array<char, kBlock> block_{};
};

// What an extended header says of the entry that follows it.
struct Extension {
  std::optional<std::string> name, link;
  std::optional<uint64_t> size;
  bool sparse = false;
};

uint64_t decimal(std::string_view text, const std::string& where) {
  uint64_t value = 0;
  SDG_CHECK(!text.empty() && text.size() <= 18, where, ": damaged pax header: not a number: '", text, "'");
  for (const char c : text) {
    SDG_CHECK(c >= '0' && c <= '9', where, ": damaged pax header: not a number: '", text, "'");
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// Records "length key=value\n", where length counts the whole record.
void parse_pax(std::string_view text, Extension& out, const std::string& where) {
  while (!text.empty() && text.front() != '\0') {
    const size_t space = text.find(' ');
    SDG_CHECK(space != std::string_view::npos, where, ": damaged pax header");
    const uint64_t length = decimal(text.substr(0, space), where);
    SDG_CHECK(length > space + 1 && length <= text.size() && text[length - 1] == '\n', where, ": damaged pax header");
    const std::string_view record = text.substr(space + 1, length - space - 2);
    const size_t equals = record.find('=');
    SDG_CHECK(equals != std::string_view::npos, where, ": damaged pax header");
    const auto key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path" || key == "GNU.sparse.name") out.name = value;
    if (key == "linkpath") out.link = value;
    if (key == "size") out.size = decimal(value, where);
    if (key.starts_with("GNU.sparse")) out.sparse = true;
    text.remove_prefix(length);
  }
}

std::string read_text(const RandomAccessFile& file, uint64_t at, uint64_t size, const std::string& where) {
  SDG_CHECK(size <= kMaxExtension, where, ": extended header of ", size, " bytes, the limit is ", kMaxExtension);
  const auto bytes = file.read(at, size);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

constexpr size_t kHolesFlag = 482, kMoreHolesFlag = 504;

// Where the data begin behind the blocks that continue the map of a sparse file's holes.
uint64_t skip_holes(const RandomAccessFile& file, uint64_t at) {
  while (true) {
    const bool more = Header(file, at).has_more_holes(kMoreHolesFlag);
    at += kBlock;
    if (!more) return at;
  }
}

// Links, devices, folders and pipes have none.
bool has_data(char type) {
  return type < '1' || type > '6';
}

// Says what a file is that begins with no header of a tar. The header is tried first: a name may begin with anything.
void check_first_block(const RandomAccessFile& file) {
  std::vector<std::byte> begin(std::min<uint64_t>(file.size(), kBlock));
  file.read_into(0, begin);
  const std::string other = other_kind(begin);
  if (other.empty()) return;
  try {
    if (begin.size() == kBlock) return Header(file, 0).check(0);
  } catch (const Error&) {  // then it is the other
  }
  throw Error(cat(file.path().string(), ": not a tar file: ", other, unpack_advice(begin, file.path())));
}

}  // namespace

std::vector<TarRecord> read_tar_records(const RandomAccessFile& file) {
  const std::string path = file.path().string();
  check_first_block(file);
  std::vector<TarRecord> out;
  Extension extension;
  uint64_t at = 0;
  while (true) {
    SDG_CHECK(file.size() - at >= kBlock, path, ": truncated tar file: no end block at byte ", at,
              ", where the file ends");
    const Header header(file, at);
    if (header.is_end()) return out;
    header.check(at);
    const std::string where = cat(path, ": entry at byte ", at);
    const char type = header.type();
    const bool describes_next = type == 'L' || type == 'K' || type == 'x' || type == 'X' || type == 'g';
    uint64_t size = header.size();
    if (!describes_next && extension.size) size = *extension.size;
    if (!has_data(type)) size = 0;
    at += kBlock;
    if (type == 'S' && header.has_more_holes(kHolesFlag)) at = skip_holes(file, at);
    SDG_CHECK(size <= file.size() - at, path, ": truncated tar file: expected at least ", at + size,
              " bytes, the file has ", file.size());

    if (type == 'L') {
      extension.name = read_text(file, at, size, where).c_str();  // up to the first zero
    } else if (type == 'K') {
      extension.link = read_text(file, at, size, where).c_str();
    } else if (type == 'x' || type == 'X') {  // X: Solaris
      parse_pax(read_text(file, at, size, where), extension, where);
    } else if (!describes_next) {
      out.push_back({extension.name.value_or(header.name()), extension.link.value_or(header.link()), type, at, size,
                     extension.sparse || type == 'S'});
      extension = {};
    }
    at += std::min((size + kBlock - 1) / kBlock * kBlock, file.size() - at);
  }
}

}  // namespace sdg::io
