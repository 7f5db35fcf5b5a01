#pragma once
// The header of one .npy array, and its data from whatever gives bytes in order (a file, a member of a zip).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "sdg/tensors/npz.h"

namespace sdg::tensors {

/// Fills the span from where the last call ended; throws Error where the bytes end before.
using ReadBytes = std::function<void(std::span<std::byte>)>;

struct NpyHeader {
  NpyInfo info;
  std::string unread;          ///< why its data cannot be read ("holds Python objects …"); empty: they can
  bool is_fortran = false;     ///< the first index runs fastest
  bool is_big_endian = false;  ///< and has elements of more than one byte
  uint64_t header_bytes = 0;   ///< magic, version and length included
  uint64_t data_bytes = 0;     ///< of what can be read
};

/// Reads as far as the data. Throws Error beginning with `where`.
NpyHeader read_npy_header(const ReadBytes& read, const std::string& where);

/// The dictionary of a header: "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }".
NpyHeader parse_npy_dictionary(std::string_view text, const std::string& where);

/// The whole array, in the machine's order of bytes, row-major.
Tensor read_npy_data(const NpyHeader& header, const ReadBytes& read);

/// The next `rows` rows of an array in C order.
Tensor read_npy_rows(const NpyHeader& header, int64_t rows, const ReadBytes& read);

/// dtype and order of bytes of "<f4", ">c8", "|b1"; where it is none that is read, `unread` says why.
struct NpyType {
  at::ScalarType dtype = at::ScalarType::Undefined;
  bool is_big_endian = false;
  std::string unread;
};
NpyType npy_type(std::string_view description);

/// Reverses the bytes of every number (of both halves of complex ones).
void swap_bytes(std::span<std::byte> data, at::ScalarType dtype);

/// Magic, version 1.0, dictionary, padded so that the data begins on a multiple of 64 bytes. Throws Error for dtypes
/// NumPy lacks.
std::string npy_header_text(const Tensor& array, const std::string& where);

}  // namespace sdg::tensors
