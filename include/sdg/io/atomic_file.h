#pragma once
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace sdg::io {
/// Calls `write` with a stream to a file beside `path`, syncs it, renames it over `path` and syncs the folder: whatever
/// happens, `path` holds either the old or the new content. Throws Error (disk full, no permission) and removes the
/// file beside. The stream can seek, except in devices and pipes.
void write_atomically(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write);

/// Makes `target` a copy of `source` in the same way.
void copy_atomically(const std::filesystem::path& source, const std::filesystem::path& target);

/// Makes `target` the same file as `source` in one move: a hard link, or a copy where the file system has no links.
void link_atomically(const std::filesystem::path& source, const std::filesystem::path& target);

/// The name that a file beside was to get, by its own name (".last.safetensors.tmp.host.123.5e0f…"): such files stay
/// where a process was killed while it wrote. Empty for names of another kind.
std::string target_of_temporary(const std::string& name);
}  // namespace sdg::io
