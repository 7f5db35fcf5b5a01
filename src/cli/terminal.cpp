#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/log_file.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"

namespace sdg::cli {
namespace {

ProgressBar*& active_bar() {
  static ProgressBar* bar = nullptr;
  return bar;
}

bool& silent() {
  static bool value = false;
  return value;
}

bool on_terminal() {
  return isatty(STDERR_FILENO) != 0;
}

int columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

void print_line(std::string_view text) {
  if (silent()) return;
  if (active_bar() && on_terminal()) std::fputs("\r\033[K", stderr);
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

}  // namespace

void fall_silent() {
  silent() = true;
}

void say(std::string_view message) {
  print_line(message);
  write_log_file(1, message);
}

void warn(std::string_view message) {
  print_line(cat("warning: ", message));
  write_log_file(2, message);
}

void install_log_sink() {
  log::set_sink([](log::Level level, std::string_view message) {
    switch (level) {
      case log::Level::kDebug:
        write_log_file(0, message);
        break;
      case log::Level::kInfo:
        say(message);
        break;
      case log::Level::kWarning:
        warn(message);
        break;
      case log::Level::kError:
        print_line(message);
        write_log_file(3, message);
        break;
    }
  });
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, std::min(seconds, 3.6e6))));
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(whole / 3600), static_cast<int>(whole / 60 % 60),
                  static_cast<int>(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  }
  return text;
}

std::string short_number(double value) {
  char text[32];
  const char* suffix = "";
  if (value >= 9999.5) {
    value /= 1000;
    suffix = "k";
  }
  std::snprintf(text, sizeof text, value < 100 ? "%.1f%s" : "%.0f%s", value, suffix);
  return text;
}

ProgressBar::ProgressBar(std::string title, std::string unit, double per_item)
    : title_(std::move(title)), unit_(std::move(unit)), per_item_(per_item), start_(std::chrono::steady_clock::now()) {
  active_bar() = this;
}

ProgressBar::~ProgressBar() {
  finish();
}

Progress ProgressBar::callback() {
  return [this](int64_t done, int64_t total) { update(done, total); };
}

void ProgressBar::update(int64_t done, int64_t total, const std::string& note) {
  const auto now = std::chrono::steady_clock::now();
  const double pause = on_terminal() ? 0.1 : 10.0;
  if (drawn_ && done < total && std::chrono::duration<double>(now - last_drawn_).count() < pause) return;
  last_drawn_ = now;
  const double elapsed = std::max(1e-9, std::chrono::duration<double>(now - start_).count());
  const double per_second = static_cast<double>(done - first_done_) / elapsed;
  const double left = per_second > 0 ? static_cast<double>(total - done) / per_second : 0;
  constexpr int kWidth = 24;
  const int filled = total > 0 ? static_cast<int>(kWidth * done / total) : 0;
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < filled ? "█" : "░";
  std::string line =
      cat(title_, " ", bar, " ", done, "/", total, "  ", short_number(per_second * per_item_), " ", unit_);
  if (!note.empty()) line += "  " + note;
  line += done < total ? "  " + clock_text(left) + " left" : "  " + clock_text(elapsed);
  draw(line);
}

void ProgressBar::draw(const std::string& line) {
  if (silent()) return;
  drawn_ = true;
  if (!on_terminal()) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  // The bar's blocks are three bytes and one column each; a cut line must not end inside one.
  std::string cut;
  int width = 0;
  for (const char c : line) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++width >= columns()) break;
    cut += c;
  }
  std::fprintf(stderr, "\r\033[K%s", cut.c_str());
  std::fflush(stderr);
}

void ProgressBar::finish() {
  if (active_bar() != this) return;
  if (drawn_ && on_terminal()) std::fputs("\n", stderr);
  active_bar() = nullptr;
}

}  // namespace sdg::cli
