#pragma once
/// What a signal handler may ask of this folder: nothing here allocates, locks or throws.
namespace sdg::io {

/// Unlinks the files beside their final names that are being written just now. Only for a process that ends right
/// after.
void remove_unfinished_files() noexcept;

/// The path of the file that is mapped where `address` points to; nullptr where none is.
const char* mapped_file_at(const void* address) noexcept;

}  // namespace sdg::io
