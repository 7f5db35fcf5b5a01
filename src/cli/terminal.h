#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "sdg/core/progress.h"

/// What a person sees. Messages and bars go to standard error, results to standard output, so that pipes stay clean.
namespace sdg::cli {

/// One line on standard error (and in the log file, where one is open), above the bar if there is one.
void say(std::string_view message);
void warn(std::string_view message);

/// From now on nothing of all this is shown: of several ranks one speaks.
void fall_silent();

/// Sends the library's log to say/warn and to the log file.
void install_log_sink();

/// "1:02:03", "4:05"
std::string clock_text(double seconds);
/// 12345.6 -> "12.3k", 56.78 -> "56.8"
std::string short_number(double value);

/// A bar with rate and time left; drawn in place on a terminal, a line now and then elsewhere.
class ProgressBar {
 public:
  /// `unit` as in "img/s"; work counts in those units, scaled by `per_item`.
  ProgressBar(std::string title, std::string unit, double per_item = 1);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Work that was done before now, in an earlier process: it does not count for the rate.
  void begin_at(int64_t done) { first_done_ = done; }
  void update(int64_t done, int64_t total, const std::string& note = "");
  /// Ends the bar's line; called by the destructor too.
  void finish();
  /// For functions that report progress.
  Progress callback();

 private:
  void draw(const std::string& line);

  std::string title_, unit_;
  double per_item_;
  std::chrono::steady_clock::time_point start_, last_drawn_;
  int64_t first_done_ = 0;
  bool drawn_ = false;
};

}  // namespace sdg::cli
