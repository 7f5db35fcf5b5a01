#pragma once
#include <filesystem>
#include <functional>
#include <ostream>

namespace sdg::io {
/// Calls `write` with a stream to a file beside `path`, syncs it, renames it over `path` and syncs the folder: whatever
/// happens, `path` holds either the old or the new content. Throws Error (disk full, no permission) and removes the
/// file beside.
void write_atomically(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write);
}  // namespace sdg::io
