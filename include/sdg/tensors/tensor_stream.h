#pragma once
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::tensors {

/// A safetensors file that is written row by row: memory stays that of one piece, and a run that was killed goes on
/// where it was. Until finish() everything is in `path`.partial, which is as large as the whole file and remembers how
/// many rows are done; a program that describes the same file finds them. One that ends before a row is done leaves
/// nothing. Formats that have a checksum
/// (tensors/verify.h) get it in finish(), which reads the whole file once.
class TensorStream {
 public:
  struct Slot {
    at::ScalarType dtype{};
    Shape shape;
  };

  /// Throws Error where the file cannot be made, another process writes it, or the partial file is of other content.
  TensorStream(const std::filesystem::path& path, const std::map<std::string, Slot>& tensors,
               const std::map<std::string, std::string>& metadata);
  ~TensorStream();
  TensorStream(const TensorStream&) = delete;
  TensorStream& operator=(const TensorStream&) = delete;

  /// What the last commit() said, 0 at the beginning.
  int64_t rows_done() const;
  /// Puts rows [n, ...] at first .. first + n of the tensor's first dimension. Converts nothing but the device.
  void write(const std::string& name, int64_t first, const Tensor& rows);
  /// Syncs what was written and remembers `rows_done`.
  void commit(int64_t rows_done);
  /// Syncs and renames to `path`.
  void finish();

  /// Where a file is until it is finished.
  static std::filesystem::path partial_path(const std::filesystem::path& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sdg::tensors
