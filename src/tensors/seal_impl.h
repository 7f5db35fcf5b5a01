#pragma once
// The checksum of a safetensors file of our own: metadata `sdg_checksum`, over every byte of the file but its own
// digits.
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "io/posix_impl.h"
#include "sdg/io/digest.h"
#include "tensors/tensor_header_impl.h"

namespace sdg::tensors {

constexpr const char* kSealKey = "sdg_checksum";

/// Must a file with these metadata have one? Files with the key, and all formats of ours (`format` sdg-NAME-N) but the
/// first ones (N = 1): so no single damaged byte hides that there is one.
bool is_sealed(const std::map<std::string, std::string>& metadata);

/// Takes the bytes as they are written or read.
class Seal {
 public:
  /// `header` is what the file begins with, with anything in the place of the digits. Throws Error, beginning with
  /// `where`, if that place is not there.
  Seal(std::string header, const std::string& where);
  static std::string blank() { return std::string(kDigits, '0'); }
  /// Of the digits, in bytes from the beginning of the file.
  size_t place() const { return place_; }
  /// All bytes of the next tensor or a multiple of kPiece of them; the rest follows.
  void add(std::span<const std::byte> bytes);
  std::string hex() const { return digest_.hex(); }

  static constexpr size_t kDigits = 32, kPiece = 1 << 20;

 private:
  size_t place_ = 0;
  io::Digest digest_;
};

/// Reads `file` once from end to end, through a small buffer and not the mapping, so that memory stays what it was.
/// Throws Error, beginning with `where`, unless its bytes are those that were written.
void check_seal(const io::OpenedFile& file, const TensorHeader& header, std::string_view header_bytes,
                const std::string& where);

}  // namespace sdg::tensors
