#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace sdg::io {

/// A-Z as a-z.
std::string lower_case(std::string_view text);

/// The suffix in lower case, with its dot: ".png" of "a/B.PNG", "" of "a" and ".hidden".
std::string lower_suffix(const std::filesystem::path& path);

/// What a file is that is often found where an image or an archive was expected, from its first bytes (512 are enough):
/// "the file is empty", "a Git LFS pointer: …", "a web page (HTML): …", "gzip-compressed", "a zip archive". Empty where
/// it is none of these.
std::string other_kind(std::span<const std::byte> begin);

/// Does a file begin as a web page does, behind a byte order mark and white space?
bool is_web_page(std::string_view text);

/// For the end of a message about weights or arrays that are something else: ": this is a Git LFS pointer: …", of these
/// and more kinds, by the first bytes (1024 tell all) and the size, or "" where they tell nothing.
std::string what_it_is(std::string_view first_bytes, uint64_t file_size);

/// How to make a tar of a compressed one, or a folder of a zip, for the end of a message: "; unpack it first: gzip -dc
/// 'x.tar.gz' > 'x.tar'". Empty where nothing is packed.
std::string unpack_advice(std::span<const std::byte> begin, const std::filesystem::path& path);

}  // namespace sdg::io
