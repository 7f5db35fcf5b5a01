#pragma once
#include <string>

#include "sdg/io/event_file.h"
#include "sdg/io/json_lines.h"
#include "sdg/train/run_folder.h"
#include "sdg/train/trainer.h"

namespace sdg::train {

/// The figures of a run by step: each goes to metrics.jsonl and to TensorBoard's files.
class RunLog {
 public:
  /// Goes on after `step`: what is logged of later steps is dropped.
  RunLog(const RunFolder& folder, int64_t step);
  void write(const StepReport& report);
  /// In TensorBoard the names begin with `tag`.
  void write(int64_t step, const io::Row& row, const std::string& tag);
  bool holds(int64_t step, const std::string& name) const { return lines_.holds(step, name); }
  /// For TensorBoard alone: uint8 [C, H, W].
  void picture(const std::string& tag, const Tensor& image, int64_t step);

 private:
  io::JsonLines lines_;
  io::EventWriter events_;
};

}  // namespace sdg::train
