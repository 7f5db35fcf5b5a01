#pragma once
// Takes a network's tensors out of a file one by one, and knows what is left over.
#include <map>
#include <set>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::model {

class WeightReader {
 public:
  WeightReader(const std::map<std::string, Tensor>& weights, const at::Device& device, std::string where);

  bool has(const std::string& name) const { return weights_.contains(name); }
  bool has_below(const std::string& prefix) const;
  /// How many of prefix0, prefix1, … there are in a row (names continue with a dot).
  int64_t count_below(const std::string& prefix) const;
  /// float32 on the device, convolutions with the channels last in memory (on a CPU a fifth faster than NCHW); `shape`
  /// may hold -1. Throws Error if it is missing or has another shape.
  Tensor take(const std::string& name, at::IntArrayRef shape);
  /// Throws Error that lists what nobody took.
  void expect_all_taken() const;
  int64_t elements() const { return elements_; }
  const std::string& where() const { return where_; }

 private:
  const std::map<std::string, Tensor>& weights_;
  at::Device device_;
  std::string where_;
  std::set<std::string> taken_;
  int64_t elements_ = 0;
};

}  // namespace sdg::model
