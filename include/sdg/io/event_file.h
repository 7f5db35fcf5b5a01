#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::io {
/// Writes TensorBoard event files (TFRecord frames with masked CRC-32C around `Event` protobufs). One writer a folder.
class EventWriter {
 public:
  /// Makes `folder` and starts a new events.out.tfevents.* file in it.
  explicit EventWriter(const std::filesystem::path& folder);
  ~EventWriter();
  void scalar(const std::string& tag, double value, int64_t step);
  /// uint8 [C, H, W]
  void image(const std::string& tag, const Tensor& image, int64_t step);
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};
}  // namespace sdg::io
