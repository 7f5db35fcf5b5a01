#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "io/crc32_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {
namespace {

constexpr uint64_t kMaxMembers = 1'000'000;
constexpr size_t kMaxComment = 0xffff;
constexpr uint16_t kEncrypted = 1, kExtraUnicodePath = 0x7075;

// Characters 128 to 255 of code page 437, the names of zips that do not say they are UTF-8.
constexpr std::array<uint16_t, 128> kCodePage437 = {
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee,
    0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6,
    0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa,
    0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502,
    0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
    0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
    0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c,
    0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4,
    0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320,
    0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0};

std::string from_code_page_437(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const uint32_t code = byte < 128 ? byte : kCodePage437[byte - 128];
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
      out += static_cast<char>(0xe0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
    }
  }
  return out;
}

// The name in the extra field that Info-ZIP adds, where it belongs to this name.
std::string unicode_path(std::string_view extra, std::string_view name) {
  constexpr size_t kBefore = 5;  // version, checksum of the name it stands for
  while (extra.size() >= 4) {
    uint16_t id = 0, size = 0;
    std::memcpy(&id, extra.data(), 2);
    std::memcpy(&size, extra.data() + 2, 2);
    extra.remove_prefix(4);
    if (size > extra.size()) break;
    if (id == kExtraUnicodePath && size > kBefore && extra[0] == 1) {
      uint32_t crc = 0;
      std::memcpy(&crc, extra.data() + 1, 4);
      if (crc == crc32(std::as_bytes(std::span(name)))) return std::string(extra.substr(kBefore, size - kBefore));
    }
    extra.remove_prefix(size);
  }
  return {};
}

class Reader {
 public:
  Reader(std::span<std::byte> file, const std::string& where) : file_(file), where_(where) {}

  template <class T>
  T number(uint64_t at) const {
    SDG_CHECK(at <= file_.size() && sizeof(T) <= file_.size() - at, where_, ": damaged zip: byte ", at,
              " lies beyond its end");
    T value = 0;
    std::memcpy(&value, file_.data() + at, sizeof(T));
    return value;
  }
  std::string_view text(uint64_t at, uint64_t size) const {
    SDG_CHECK(at <= file_.size() && size <= file_.size() - at, where_, ": damaged zip: bytes ", at, " to ", at + size,
              " lie beyond its end");
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    return {reinterpret_cast<const char*>(file_.data()) + at, size};
  }

  std::vector<ZipMember> members() const;

 private:
  struct Directory {
    uint64_t begin, size, count;
  };
  struct Place {
    std::string name;
    uint64_t begin, end;  // with its local header
  };
  Directory directory() const;
  uint64_t end_record() const;
  void widen(std::string_view extra, std::initializer_list<uint64_t*> numbers, const std::string& name) const;

  std::span<std::byte> file_;
  const std::string& where_;
};

// The end record is the last thing but for a comment.
uint64_t Reader::end_record() const {
  SDG_CHECK(file_.size() >= kEndBytes, where_, ": truncated: a zip has at least ", kEndBytes, " bytes, the file has ",
            file_.size());
  const uint64_t last = file_.size() - kEndBytes, first = last > kMaxComment ? last - kMaxComment : 0;
  for (uint64_t at = last + 1; at-- > first;) {
    if (number<uint32_t>(at) == kEndSignature && at + kEndBytes + number<uint16_t>(at + 20) == file_.size()) return at;
  }
  throw Error(cat(where_, ": truncated or damaged: the zip's directory at its end is missing"));
}

Reader::Directory Reader::directory() const {
  const uint64_t end = end_record();
  Directory found{number<uint32_t>(end + 16), number<uint32_t>(end + 12), number<uint16_t>(end + 10)};
  SDG_CHECK(number<uint16_t>(end + 4) == 0 || number<uint16_t>(end + 4) == 0xffff, where_,
            ": a zip of several parts is not read");
  uint64_t limit = end;
  const bool may_be_64 = end >= kLocator64Bytes && number<uint32_t>(end - kLocator64Bytes) == kLocator64Signature;
  if (may_be_64) {
    const uint64_t at = number<uint64_t>(end - kLocator64Bytes + 8);
    SDG_CHECK(at <= end - kLocator64Bytes && number<uint32_t>(at) == kEnd64Signature, where_,
              ": damaged zip: no 64-bit end record at byte ", at);
    found = {number<uint64_t>(at + 48), number<uint64_t>(at + 40), number<uint64_t>(at + 32)};
    limit = at;
  }
  SDG_CHECK(found.begin <= limit && found.size <= limit - found.begin, where_, ": damaged zip: its directory (",
            found.size, " bytes at ", found.begin, ") does not lie before its end record at ", limit);
  SDG_CHECK(found.count <= kMaxMembers && found.count <= found.size / kCentralBytes, where_,
            ": damaged zip: ", found.count, " members cannot be listed in ", found.size, " bytes");
  return found;
}

// Numbers that did not fit 32 bits stand in the extra field, in this order.
void Reader::widen(std::string_view extra, std::initializer_list<uint64_t*> numbers, const std::string& name) const {
  while (extra.size() >= 4) {
    uint16_t id = 0, size = 0;
    std::memcpy(&id, extra.data(), 2);
    std::memcpy(&size, extra.data() + 2, 2);
    extra.remove_prefix(4);
    SDG_CHECK(size <= extra.size(), where_, ": damaged zip: extra field of ", name);
    if (id == kExtra64) {
      auto field = extra.substr(0, size);
      for (uint64_t* value : numbers) {
        if (*value != kIn64) continue;
        SDG_CHECK(field.size() >= 8, where_, ": damaged zip: 64-bit field of ", name, " is too short");
        std::memcpy(value, field.data(), 8);
        field.remove_prefix(8);
      }
      return;
    }
    extra.remove_prefix(size);
  }
}

std::vector<ZipMember> Reader::members() const {
  const Directory listed = directory();
  std::vector<ZipMember> out;
  std::set<std::string> seen;
  std::vector<Place> places;
  uint64_t at = listed.begin;
  const uint64_t directory_end = listed.begin + listed.size;
  for (uint64_t i = 0; i < listed.count; ++i) {
    SDG_CHECK(at + kCentralBytes <= directory_end && number<uint32_t>(at) == kCentralSignature, where_,
              ": damaged zip: member ", i, " is not where the directory says");
    const uint16_t flags = number<uint16_t>(at + 8), method = number<uint16_t>(at + 10);
    const uint16_t name_size = number<uint16_t>(at + 28), extra_size = number<uint16_t>(at + 30),
                   comment_size = number<uint16_t>(at + 32);
    uint64_t packed = number<uint32_t>(at + 20), size = number<uint32_t>(at + 24), local = number<uint32_t>(at + 42);
    SDG_CHECK(at + kCentralBytes + name_size + extra_size + comment_size <= directory_end, where_,
              ": damaged zip: member ", i, " is longer than the directory");
    const auto raw = text(at + kCentralBytes, name_size);
    const auto extra = text(at + kCentralBytes + name_size, extra_size);
    auto name = (flags & kZipUtf8) != 0 ? std::string(raw) : unicode_path(extra, raw);
    if (name.empty()) name = from_code_page_437(raw);
    widen(extra, {&size, &packed, &local}, name);
    const uint32_t crc = number<uint32_t>(at + 16);
    at += kCentralBytes + name_size + extra_size + comment_size;

    SDG_CHECK(name.find('\0') == std::string::npos && name.find('\n') == std::string::npos, where_,
              ": damaged zip: a member's name holds control characters");
    SDG_CHECK(local < listed.begin && number<uint32_t>(local) == kLocalSignature, where_, ": damaged zip: member ",
              name, " does not begin at byte ", local);
    const uint64_t data = local + kLocalBytes + number<uint16_t>(local + 26) + uint64_t{number<uint16_t>(local + 28)};
    SDG_CHECK(text(local + kLocalBytes, number<uint16_t>(local + 26)) == raw, where_, ": damaged zip: member ", name,
              " has another name at byte ", local);
    SDG_CHECK(method != kStored || packed == size || (flags & kEncrypted) != 0, where_, ": damaged zip: member ", name,
              " is stored, but has ", packed, " bytes of ", size);
    SDG_CHECK(data <= listed.begin && packed <= listed.begin - data, where_, ": damaged zip: member ", name, " (",
              packed, " bytes at ", data, ") reaches beyond byte ", listed.begin);
    SDG_CHECK(seen.insert(name).second, where_, ": damaged zip: member ", name, " comes twice");
    places.push_back({name, local, data + packed});
    out.push_back({std::move(name), file_.subspan(data, packed), size, crc, method, (flags & kEncrypted) != 0});
  }
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < places.size(); ++i) {
    SDG_CHECK(places[i - 1].end <= places[i].begin, where_, ": damaged zip: members ", places[i - 1].name, " and ",
              places[i].name, " overlap");
  }
  return out;
}

}  // namespace

std::vector<ZipMember> zip_members(std::span<std::byte> file, const std::string& where) {
  return Reader(file, where).members();
}

std::span<std::byte> stored_bytes(const ZipMember& member, const std::string& where) {
  SDG_CHECK(!member.is_encrypted, where, ": zip member ", member.name, " is encrypted");
  SDG_CHECK(member.method == kStored, where, ": zip member ", member.name,
            " is compressed; torch files are stored without compression");
  return member.packed;
}

}  // namespace sdg::io
