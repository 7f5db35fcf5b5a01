#pragma once
#include <array>
#include <optional>
#include <string>

#include <torch/types.h>

namespace sdg {

/// Of matrix products, convolutions and attention. All else stays float32, whatever is chosen: normalisation's
/// statistics, softmax, losses, Sinkhorn, averages, the optimizer and the weights themselves.
enum class Precision {
  kFloat32,
  kTf32,  ///< GPUs: float32 with 10 bits of the mantissa in products
  kBf16,  ///< 8 bits of mantissa, float32's range; sums are float32
};
constexpr auto names_of(Precision) {
  return std::array{"float32", "tf32", "bf16"};
}

/// Does this CPU multiply bf16 itself? Where it does not, bf16 is many times slower than float32.
bool has_native_bf16();

/// Throws UsageError, beginning with the option's name, where the device does not compute that way.
void check_precision(Precision precision, const at::Device& device, const std::string& option);

/// While it lives, this thread computes on `device` in that precision.
class PrecisionScope {
 public:
  /// With `keep_casts`, bf16 copies of weights that have a gradient are made once and kept for all threads until
  /// forget_casts(); who asks for that must call it whenever weights have moved.
  PrecisionScope(Precision precision, const at::Device& device, bool keep_casts = false);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  Precision precision_;
  at::DeviceType device_;
  bool enabled_ = false, cached_ = false, tf32_ = false;  // as it was before
  at::ScalarType type_ = at::kFloat;
};

/// While it lives, this thread takes the gradient of what was computed on `device` in that precision: TF32 is chosen
/// when a product is computed, so it is asked for anew; bf16 follows the forward pass.
class BackwardScope {
 public:
  BackwardScope(Precision precision, const at::Device& device);

 private:
  std::optional<PrecisionScope> scope_;
};

/// Drops all kept bf16 copies. No thread may be inside a scope that keeps them.
void forget_casts();

}  // namespace sdg
