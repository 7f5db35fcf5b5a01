#include "cli/log_file.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace sdg::cli {
namespace {
std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance;
  return instance;
}
}  // namespace

void open_log_file(const std::string& path) {
  logger().reset();
  if (path.empty()) return;
  logger() = std::make_shared<spdlog::logger>("sdg", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, false));
  logger()->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  logger()->set_level(spdlog::level::debug);
  logger()->flush_on(spdlog::level::debug);
}

void write_log_file(int level, std::string_view message) {
  if (!logger()) return;
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                   spdlog::level::err};
  logger()->log(kLevels[level], "{}", message);
}

}  // namespace sdg::cli
