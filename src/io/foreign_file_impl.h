#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace sdg::io {

/// For the end of a message about a file that is not what was expected: ": this is a Git LFS pointer, …" by its first
/// bytes (1024 tell all kinds) and its size, or "" where they tell nothing.
std::string what_it_is(std::string_view first_bytes, uint64_t file_size);

}  // namespace sdg::io
