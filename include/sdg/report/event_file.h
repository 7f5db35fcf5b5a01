#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::report {
/// Writes TensorBoard event files (TFRecord frames with masked CRC-32C around `Event` protobufs). One writer a folder
/// at a time. Records reach the disk at flush() and when the writer goes.
class EventWriter {
 public:
  /// Makes `folder` and starts a new events.out.tfevents.* file in it. A resumed run passes the step it goes on from:
  /// TensorBoard then drops what older files of the folder say of later steps. -1 keeps everything.
  explicit EventWriter(const std::filesystem::path& folder, int64_t keep_up_to_step = -1);
  ~EventWriter();
  /// TensorBoard keeps scalars as float32.
  void scalar(const std::string& tag, double value, int64_t step);
  /// uint8 [C, H, W], C 1 or 3
  void image(const std::string& tag, const Tensor& image, int64_t step);
  /// Throws Error if something could not be written (disk full).
  void flush();
  const std::filesystem::path& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
}  // namespace sdg::report
