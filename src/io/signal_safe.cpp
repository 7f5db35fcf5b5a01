#include "sdg/io/signal_safe.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "io/signal_safe_impl.h"

namespace sdg::io {
namespace {

// A file beyond these is written all the same; it only stays behind where a signal ends the program.
constexpr size_t kUnfinished = 64;
std::array<std::atomic<char*>, kUnfinished> g_unfinished{};

}  // namespace

UnfinishedFile::UnfinishedFile(const std::filesystem::path& path)
    : path_(::strdup(std::filesystem::absolute(path).c_str())) {
  for (auto& slot : g_unfinished) {
    char* empty = nullptr;
    listed_ = slot.compare_exchange_strong(empty, path_);
    if (listed_) return;
  }
}

UnfinishedFile::~UnfinishedFile() {
  bool ours = !listed_;
  for (auto& slot : g_unfinished) {
    char* path = path_;
    ours = ours || slot.compare_exchange_strong(path, nullptr);
  }
  if (ours) std::free(path_);  // else a handler holds it, and the process is about to end NOLINT(*-no-malloc)
}

void remove_unfinished_files() noexcept {
  for (auto& slot : g_unfinished) {
    if (const char* path = slot.exchange(nullptr)) ::unlink(path);
  }
}

// Nodes are used again and never freed, so that a handler can walk them at any moment.
struct NamedMapping::Node {
  std::atomic<uintptr_t> begin{0};  // 0: not in use
  std::atomic<uintptr_t> end{0};
  std::atomic<char*> path{nullptr};
  Node* next = nullptr;
};

namespace {
std::mutex g_mappings_mutex;
std::atomic<void*> g_mappings{nullptr};
}  // namespace

NamedMapping::Node* NamedMapping::first() {
  return static_cast<Node*>(g_mappings.load());
}

NamedMapping::NamedMapping(const void* begin, size_t size, const std::filesystem::path& path) {
  const std::lock_guard lock(g_mappings_mutex);
  node_ = first();
  while (node_ && node_->begin != 0) node_ = node_->next;
  const bool fresh = node_ == nullptr;
  if (fresh) node_ = new Node;
  std::free(node_->path.exchange(::strdup(path.c_str())));  // NOLINT(*-no-malloc)
  const auto address = reinterpret_cast<uintptr_t>(begin);  // NOLINT(*-reinterpret-cast)
  node_->end = address + size;
  node_->begin = address;
  if (!fresh) return;
  node_->next = first();
  g_mappings = node_;
}

NamedMapping::~NamedMapping() {
  const std::lock_guard lock(g_mappings_mutex);
  node_->begin = 0;
}

bool MappedFileAt::shortened() const noexcept {
  struct stat now{};
  return path && ::stat(path, &now) == 0 && static_cast<size_t>(now.st_size) < size;
}

MappedFileAt mapped_file_at(const void* address) noexcept {
  const auto wanted = reinterpret_cast<uintptr_t>(address);  // NOLINT(*-reinterpret-cast)
  for (const auto* node = NamedMapping::first(); node; node = node->next) {
    const uintptr_t begin = node->begin;
    if (begin != 0 && begin <= wanted && wanted < node->end) return {node->path, node->end - begin};
  }
  return {};
}

}  // namespace sdg::io
