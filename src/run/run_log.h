#pragma once
#include <string>

#include "sdg/checkpoint/run_folder.h"
#include "sdg/io/json_lines.h"
#include "sdg/report/event_file.h"
#include "sdg/run/trainer.h"

namespace sdg::run {

/// The figures of a run by step: each goes to metrics.jsonl and to TensorBoard's files.
class RunLog {
 public:
  /// Goes on after `step`: what is logged of later steps is dropped.
  RunLog(const checkpoint::RunFolder& folder, int64_t step);
  void write(const StepReport& report);
  /// In TensorBoard the names begin with `tag`.
  void write(int64_t step, const io::Row& row, const std::string& tag);
  bool holds(int64_t step, const std::string& name) const { return lines_.holds(step, name); }
  /// For TensorBoard alone: uint8 [C, H, W].
  void picture(const std::string& tag, const Tensor& image, int64_t step);

 private:
  io::JsonLines lines_;
  report::EventWriter events_;
};

}  // namespace sdg::run
