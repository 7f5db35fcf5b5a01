#pragma once
// The header of one .npy array, and its data from whatever gives bytes in order (a file, a member of a zip).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "sdg/io/npz.h"

namespace sdg::io {

/// Fills the span from where the last call ended; throws Error where the bytes end before.
using ReadBytes = std::function<void(std::span<std::byte>)>;

struct NpyHeader {
  NpyInfo info;
  uint64_t header_bytes = 0;  ///< magic, version and length included
  uint64_t data_bytes = 0;
};

/// Reads as far as the data. Throws Error beginning with `where`.
NpyHeader read_npy_header(const ReadBytes& read, const std::string& where);

/// The dictionary of a header: "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }".
NpyInfo parse_npy_dictionary(std::string_view text, const std::string& where);

/// Magic, version 1.0, dictionary, padded so that the data begins on a multiple of 64 bytes. Throws Error for dtypes
/// NumPy lacks.
std::string npy_header_text(const Tensor& array, const std::string& where);

}  // namespace sdg::io
