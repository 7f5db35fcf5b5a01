#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "io/zip_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {
namespace {

constexpr uint64_t kMaxMembers = 1'000'000;
constexpr size_t kMaxComment = 0xffff;

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

  std::map<std::string, std::span<std::byte>> members() const;

 private:
  struct Directory {
    uint64_t begin, size, count;
  };
  struct Member {
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

std::map<std::string, std::span<std::byte>> Reader::members() const {
  const Directory listed = directory();
  std::map<std::string, std::span<std::byte>> out;
  std::vector<Member> places;
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
    const std::string name(text(at + kCentralBytes, name_size));
    widen(text(at + kCentralBytes + name_size, extra_size), {&size, &packed, &local}, name);
    at += kCentralBytes + name_size + extra_size + comment_size;

    SDG_CHECK(name.find('\0') == std::string::npos && name.find('\n') == std::string::npos, where_,
              ": damaged zip: a member's name holds control characters");
    SDG_CHECK((flags & 1) == 0, where_, ": zip member ", name, " is encrypted");
    SDG_CHECK(method == 0 && packed == size, where_, ": zip member ", name,
              " is compressed; torch files are stored without compression");
    SDG_CHECK(local < listed.begin && number<uint32_t>(local) == kLocalSignature, where_, ": damaged zip: member ",
              name, " does not begin at byte ", local);
    const uint64_t data = local + kLocalBytes + number<uint16_t>(local + 26) + uint64_t{number<uint16_t>(local + 28)};
    SDG_CHECK(text(local + kLocalBytes, number<uint16_t>(local + 26)) == name, where_, ": damaged zip: member ", name,
              " has another name at byte ", local);
    SDG_CHECK(data <= listed.begin && size <= listed.begin - data, where_, ": damaged zip: member ", name, " (", size,
              " bytes at ", data, ") reaches beyond byte ", listed.begin);
    SDG_CHECK(out.emplace(name, file_.subspan(data, size)).second, where_, ": damaged zip: member ", name,
              " comes twice");
    places.push_back({name, local, data + size});
  }
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < places.size(); ++i) {
    SDG_CHECK(places[i - 1].end <= places[i].begin, where_, ": damaged zip: members ", places[i - 1].name, " and ",
              places[i].name, " overlap");
  }
  return out;
}

}  // namespace

std::map<std::string, std::span<std::byte>> stored_members(std::span<std::byte> file, const std::string& where) {
  return Reader(file, where).members();
}

}  // namespace sdg::io
