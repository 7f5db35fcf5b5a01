#pragma once
#include <string_view>

#include "sdg/core/tensor.h"

/// Initial weights. Every draw is a function of (seed, name of the parameter, position in it): neither the order of the
/// calls nor the device matters. Nothing is drawn on the meta device.
namespace sdg::nn {

/// While one lives, networks built by this thread take memory without filling it and draw nothing: for networks whose
/// every weight will come from a file.
class WithoutInitialValues {
 public:
  WithoutInitialValues();
  ~WithoutInitialValues();
  WithoutInitialValues(const WithoutInitialValues&) = delete;
  WithoutInitialValues& operator=(const WithoutInitialValues&) = delete;
};

/// Zeros, or memory as it comes while a WithoutInitialValues lives: what parameter holders begin with.
Tensor initial_zeros(at::IntArrayRef shape, const at::TensorOptions& where);

/// Two ways to begin. The public codes' values come with their networks and are what their published runs began with;
/// on the small networks of this program they learn far more slowly (docs/results.md, "Initial values").
enum class InitialValues {
  kPublic,  ///< as in the public code of each network
  kFanIn,   ///< layers uniform within 1 / sqrt(fan_in), and nothing between the network and its output at first
};

class Initializer {
 public:
  explicit Initializer(uint64_t seed) : seed_(seed) {}

  /// N(0, std^2). Public code truncates at +-2, which is 100 standard deviations at its std of 0.02: the same thing.
  void normal(const Tensor& parameter, std::string_view name, double std) const;
  /// Uniform on [-bound, bound).
  void uniform(const Tensor& parameter, std::string_view name, double bound) const;
  /// Glorot and Bengio, 2010: uniform with bound sqrt(6 / (fan_in + fan_out)). Further dimensions count as fan_in.
  void xavier_uniform(const Tensor& parameter, std::string_view name) const;
  /// Uniform with bound 1 / sqrt(fan_in), PyTorch's own choice for weights; all dimensions but the first are fan_in.
  void fan_in(const Tensor& parameter, std::string_view name) const;
  /// What PyTorch gives a convolution: weight and bias uniform with bound 1 / sqrt(fan_in).
  void conv(const Tensor& weight, const Tensor& bias, std::string_view name) const;
  static void constant(const Tensor& parameter, double value);
  /// A convolution of C to C channels with odd kernel [C, C, k, k] that hands its input through.
  static void identity_conv(const Tensor& weight, const Tensor& bias);

 private:
  uint64_t seed_;
};

}  // namespace sdg::nn
