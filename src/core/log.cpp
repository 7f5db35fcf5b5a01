#include "sdg/core/log.h"

#include <mutex>
#include <utility>

namespace sdg::log {
namespace {
std::mutex& mutex() {
  static std::mutex instance;
  return instance;
}
Sink& sink() {
  static Sink instance;
  return instance;
}
}  // namespace

void set_sink(Sink replacement) {
  const std::lock_guard lock(mutex());
  sink() = std::move(replacement);
}

void write(Level level, std::string_view message) {
  const std::lock_guard lock(mutex());
  if (sink()) sink()(level, message);
}

}  // namespace sdg::log
