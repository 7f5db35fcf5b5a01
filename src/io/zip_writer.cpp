#include <algorithm>
#include <array>
#include <cstring>
#include <ostream>

#include "io/crc32_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {
namespace {

constexpr uint64_t kAlignment = 64;         // of a member's data, as torch.save does, so that it can be mapped
constexpr uint16_t kPaddingExtra = 0x4246;  // "FB": an extra field that only fills
constexpr uint16_t kVersion = 45;           // of zip: has 64-bit sizes
constexpr size_t kMaxName = 0xffff;
constexpr uint16_t kDate = 0x21;  // 1 January 1980: the same content gives the same file

template <class T>
void put(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof(T));
  out.append(bytes.data(), bytes.size());
}

uint32_t narrow(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, kIn64));
}

}  // namespace

void ZipWriter::add(const std::string& name, std::initializer_list<std::span<const std::byte>> pieces) {
  SDG_CHECK(name.size() <= kMaxName, "a name in a zip has at most ", kMaxName, " bytes, this has ", name.size());
  Member member{name, 0, 0, at_};
  for (const auto piece : pieces) {
    member.crc = crc32(piece, member.crc);
    member.size += piece.size();
  }
  std::string local;
  put(local, kLocalSignature);
  common(local, member);
  const bool is_big = member.size >= kIn64;
  const auto bare = at_ + kLocalBytes + name.size() + (is_big ? 20 : 0) + 4;
  const auto padding = static_cast<uint16_t>((kAlignment - bare % kAlignment) % kAlignment);
  put(local, static_cast<uint16_t>(name.size()));
  put(local, static_cast<uint16_t>((is_big ? 20 : 0) + 4 + padding));
  local += name;
  if (is_big) {
    put(local, kExtra64);
    put(local, uint16_t{16});
    put(local, member.size);
    put(local, member.size);
  }
  put(local, kPaddingExtra);
  put(local, padding);
  local.append(padding, 'Z');
  write(local);
  for (const auto piece : pieces)
    out_.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
  at_ += member.size;
  members_.push_back(member);
}

void ZipWriter::finish() {
  const uint64_t begin = at_;
  for (const auto& member : members_) {
    std::string entry;
    put(entry, kCentralSignature);
    put(entry, kVersion);
    common(entry, member);
    std::string extra;  // always with 64-bit numbers where they are needed
    if (member.size >= kIn64) {
      put(extra, member.size);
      put(extra, member.size);
    }
    if (member.begin >= kIn64) put(extra, member.begin);
    put(entry, static_cast<uint16_t>(member.name.size()));
    put(entry, static_cast<uint16_t>(extra.empty() ? 0 : extra.size() + 4));
    entry.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
    put(entry, narrow(member.begin));
    entry += member.name;
    if (!extra.empty()) {
      put(entry, kExtra64);
      put(entry, static_cast<uint16_t>(extra.size()));
      entry += extra;
    }
    write(entry);
  }
  const uint64_t size = at_ - begin, end64 = at_;
  std::string end;
  put(end, kEnd64Signature);
  put(end, uint64_t{kEnd64Bytes - 12});
  put(end, kVersion);
  put(end, kVersion);
  put(end, uint64_t{0});  // disks
  put(end, uint64_t{members_.size()});
  put(end, uint64_t{members_.size()});
  put(end, size);
  put(end, begin);
  put(end, kLocator64Signature);
  put(end, uint32_t{0});
  put(end, end64);
  put(end, uint32_t{1});
  const auto count = static_cast<uint16_t>(std::min<size_t>(members_.size(), 0xffff));
  put(end, kEndSignature);
  put(end, uint32_t{0});
  put(end, count);
  put(end, count);
  put(end, narrow(size));
  put(end, narrow(begin));
  put(end, uint16_t{0});
  write(end);
}

void ZipWriter::common(std::string& out, const Member& member) {
  put(out, kVersion);
  put(out, kZipUtf8);
  put(out, kStored);
  put(out, uint16_t{0});
  put(out, kDate);
  put(out, member.crc);
  put(out, narrow(member.size));
  put(out, narrow(member.size));
}

void ZipWriter::write(const std::string& bytes) {
  out_ << bytes;
  at_ += bytes.size();
}

}  // namespace sdg::io
