#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sdg/core/tensor.h"

namespace sdg::io {

/// 128-bit XXH3 of the pieces that were added, in their order. Each piece counts with its length, so that pieces cannot
/// run into each other. It notices damage and change, not forgery.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  Digest& bytes(std::span<const std::byte> piece);
  Digest& text(std::string_view piece);
  Digest& number(int64_t piece);
  /// Type, shape and values; wherever the tensor lies and however it is strided.
  Digest& tensor(const Tensor& piece);

  /// 32 lower-case hexadecimal digits; more may be added afterwards.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sdg::io
