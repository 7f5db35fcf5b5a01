#pragma once
#include <functional>
#include <map>
#include <string>

#include "sdg/learn/optimizer.h"
#include "sdg/network/flat_parameters.h"

namespace sdg::learn {

struct ModuleOptimizerOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double clip = 0;         ///< longest gradient; 0 does not clip
  bool clip_each = false;  ///< of each parameter alone, by clip / (length + 1e-6), instead of all together
};

/// How one parameter is treated: learning rate in multiples of the step's, and its weight decay.
struct Treatment {
  double lr = 1, weight_decay = 0;
  auto operator<=>(const Treatment&) const = default;
};

/// AdamW for a small module that is trained by itself, on one device.
class ModuleOptimizer {
 public:
  /// Moves the storage of the module's parameters, and keeps them; the module must outlive this.
  ModuleOptimizer(torch::nn::Module& module, const ModuleOptimizerOptions& options,
                  const std::function<Treatment(const network::NamedRange&)>& treatment);

  /// One step down the loss. Throws Error, leaving everything as it was, where the gradient is not finite.
  void step(const Tensor& loss, double lr);

  /// All parameters as one tensor [P].
  const Tensor& values() const { return parameters_.values(); }
  /// optimizer.exp_avg, optimizer.exp_avg_sq [P] and optimizer.steps_done.
  std::map<std::string, Tensor> state() const;
  /// Throws Error, naming `where`, for what is missing or of another shape.
  void restore(const std::map<std::string, Tensor>& state, const std::string& where);

 private:
  Tensor gradient_of(const Tensor& loss) const;

  ModuleOptimizerOptions options_;
  network::FlatParameters parameters_;
  AdamW adamw_;
};

/// The gradient brought down to the length `limit` where it is longer: times limit / (length + 1e-6).
Tensor clipped(const Tensor& gradient, double limit);

/// Copies the tensor of that name from `from` into `to`; throws Error, naming `where`, where it is missing or of
/// another shape.
void copy_named(const std::map<std::string, Tensor>& from, const std::string& name, const Tensor& to,
                const std::string& where);

}  // namespace sdg::learn
