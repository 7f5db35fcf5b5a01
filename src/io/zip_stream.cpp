#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "io/crc32_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {

struct ZipStream::State {
  State(const ZipMember& given, std::string place) : member(given), where(std::move(place)) {
    SDG_CHECK(!member.is_encrypted, where, ": is encrypted");
    SDG_CHECK(member.method == kStored || member.method == kDeflated, where, ": compression method ", member.method,
              " is not read; numpy.savez and savez_compressed store and deflate");
    if (member.method == kStored) return;
    constexpr int kRaw = -MAX_WBITS;  // without zlib's own header
    SDG_CHECK(inflateInit2(&inflater, kRaw) == Z_OK, where, ": cannot start zlib");
    inflates = true;
  }
  ~State() {
    if (inflates) inflateEnd(&inflater);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // At most as many as asked for; 0 at the end.
  size_t some(std::span<std::byte> to) {
    const auto left = member.packed.subspan(consumed);
    constexpr size_t kPiece = std::numeric_limits<uInt>::max() / 2;
    if (!inflates) {
      const auto count = std::min(left.size(), to.size());
      if (count > 0) std::memcpy(to.data(), left.data(), count);
      consumed += count;
      return count;
    }
    if (ended) return 0;
    const auto given = static_cast<uInt>(std::min(left.size(), kPiece)),
               room = static_cast<uInt>(std::min(to.size(), kPiece));
    inflater.next_in = reinterpret_cast<Bytef*>(left.data());
    inflater.avail_in = given;
    inflater.next_out = reinterpret_cast<Bytef*>(to.data());
    inflater.avail_out = room;
    const int status = inflate(&inflater, Z_NO_FLUSH);
    consumed += given - inflater.avail_in;
    ended = status == Z_STREAM_END;
    SDG_CHECK(ended || status == Z_OK || status == Z_BUF_ERROR, where, ": damaged: its compressed data make no sense (",
              inflater.msg ? inflater.msg : "zlib", ")");
    return room - inflater.avail_out;
  }

  ZipMember member;
  std::string where;
  z_stream inflater{};
  bool inflates = false, ended = false;
  size_t consumed = 0;
  uint64_t made = 0;
  uint32_t crc = 0;
};

ZipStream::ZipStream(const ZipMember& member, std::string where)
    : state_(std::make_unique<State>(member, std::move(where))) {}
ZipStream::~ZipStream() = default;
ZipStream::ZipStream(ZipStream&&) noexcept = default;
ZipStream& ZipStream::operator=(ZipStream&&) noexcept = default;

void ZipStream::read(std::span<std::byte> to) {
  while (!to.empty()) {
    const auto got = state_->some(to);
    SDG_CHECK(got > 0, state_->where, ": truncated: ", to.size(), " more bytes expected");
    state_->crc = crc32(to.first(got), state_->crc);
    state_->made += got;
    to = to.subspan(got);
  }
}

void ZipStream::finish() {
  std::byte more{};
  SDG_CHECK(state_->some({&more, 1}) == 0, state_->where, ": too long: bytes after the array");
  SDG_CHECK(state_->made == state_->member.size, state_->where, ": damaged: the zip promises ", state_->member.size,
            " bytes, there are ", state_->made);
  SDG_CHECK(state_->crc == state_->member.crc, state_->where, ": damaged: its checksum (CRC) is wrong");
}

}  // namespace sdg::io
