#include "sdg/io/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdio>

namespace sdg::io {

struct Digest::State {
  XXH3_state_t xxh;
};

Digest::Digest() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

Digest& Digest::bytes(std::span<const std::byte> piece) {
  const uint64_t length = piece.size();
  XXH3_128bits_update(&state_->xxh, &length, sizeof length);
  XXH3_128bits_update(&state_->xxh, piece.data(), piece.size());
  return *this;
}

Digest& Digest::text(std::string_view piece) {
  return bytes(std::as_bytes(std::span(piece.data(), piece.size())));
}

Digest& Digest::number(int64_t piece) {
  return bytes(std::as_bytes(std::span(&piece, 1)));
}

Digest& Digest::tensor(const Tensor& piece) {
  const auto values = piece.detach().cpu().resolve_neg().resolve_conj().contiguous();
  text(c10::toString(values.scalar_type())).number(values.dim());
  for (const auto extent : values.sizes()) number(extent);
  return bytes({static_cast<const std::byte*>(values.const_data_ptr()), static_cast<size_t>(values.nbytes())});
}

std::string Digest::hex() const {
  const auto digest = XXH3_128bits_digest(&state_->xxh);
  char out[40];
  std::snprintf(out, sizeof out, "%016llx%016llx", static_cast<unsigned long long>(digest.high64),
                static_cast<unsigned long long>(digest.low64));
  return out;
}

}  // namespace sdg::io
