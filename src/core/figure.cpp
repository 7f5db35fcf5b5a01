#include "sdg/core/figure.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>

#include "sdg/core/error.h"

namespace sdg {

Figure Figure::of(const Tensor& scalar) {
  SDG_CHECK(scalar.numel() == 1, "figure: expected one number, got ", to_string(scalar.sizes()));
  const at::NoGradGuard no_grad;
  Figure out;
  out.there_ = scalar.detach().to(at::kDouble).reshape({});
  return out;
}

Figure::operator double() const {
  if (there_.defined()) read({this});
  return value_;
}

Tensor Figure::tensor() const {
  return there_.defined() ? there_ : at::scalar_tensor(value_, at::kDouble);
}

Figure Figure::plus(const Figure& other) const {
  if (known() && other.known()) return value_ + other.value_;
  const at::NoGradGuard no_grad;
  if (known()) return of(other.there_ + value_);
  return of(other.known() ? there_ + other.value_ : there_ + other.there_);
}

Figure Figure::times(double factor) const {
  if (known()) return value_ * factor;
  const at::NoGradGuard no_grad;
  return of(there_ * factor);
}

void Figure::read(const std::vector<const Figure*>& figures) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> making;
  for (const auto* figure : figures) {
    if (!figure->known()) making.push_back(figure->there_);
  }
  if (making.empty()) return;
  const auto values = at::stack(making).to(at::kCPU);  // the one wait
  const auto* value = values.const_data_ptr<double>();
  for (const auto* figure : figures) {
    if (figure->known()) continue;
    figure->value_ = *value++;
    figure->there_ = Tensor();
  }
}

}  // namespace sdg
