#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>

#include "sdg/core/tensor.h"

namespace sdg::network {

/// The part [begin, end) of a flat tensor that belongs to one parameter.
struct NamedRange {
  std::string name;
  int64_t begin = 0, end = 0;
  int64_t dimensions = 0;  ///< of the parameter
};

/// The trained parameters of several modules as one contiguous float tensor, of which each parameter is a view.
/// One tensor makes the optimizer, the average, clipping and the sum of shard gradients one kernel each.
class FlatParameters {
 public:
  /// Adds every parameter that requires a gradient, in the modules' own order, under `prefix` + name. Moves their
  /// storage.
  void add(const std::string& prefix, torch::nn::Module& module);
  /// Call once, after the last add().
  void build();

  const std::vector<Tensor>& parameters() const { return parameters_; }
  const std::vector<std::string>& names() const { return names_; }
  /// Where in the flat tensor each lies, in their order, without gaps.
  std::vector<NamedRange> ranges() const;
  /// Frees the values: the parameters keep their shapes and hold nothing until hold().
  void let_go();
  bool held() const { return values_.defined(); }
  /// `values` [P], contiguous, are the parameters' from now on.
  void hold(const Tensor& values);

  /// [P]
  const Tensor& values() const { return values_; }
  Tensor& values() { return values_; }

  /// The part of a flat tensor that belongs to each parameter, in its shape, in their order.
  std::vector<Tensor> views(const Tensor& flat) const;
  /// The same under the parameters' names.
  std::map<std::string, Tensor> named_views(const Tensor& flat) const;

 private:
  std::vector<Tensor> parameters_;
  std::vector<std::string> names_;
  Tensor values_;
};

/// Parameters and buffers of a module under `prefix` + name, detached, sharing storage.
std::map<std::string, Tensor> named_tensors(const std::string& prefix, const torch::nn::Module& module);

}  // namespace sdg::network
