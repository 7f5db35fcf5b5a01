#include "model/weight_reader_impl.h"
#include "sdg/core/error.h"

namespace sdg::model {

WeightReader::WeightReader(const std::map<std::string, Tensor>& weights, const at::Device& device, std::string where)
    : weights_(weights), device_(device), where_(std::move(where)) {}

bool WeightReader::has_below(const std::string& prefix) const {
  const auto first = weights_.lower_bound(prefix);
  return first != weights_.end() && first->first.starts_with(prefix);
}

int64_t WeightReader::count_below(const std::string& prefix) const {
  int64_t count = 0;
  while (has_below(cat(prefix, count, "."))) ++count;
  return count;
}

Tensor WeightReader::take(const std::string& name, at::IntArrayRef shape) {
  const auto found = weights_.find(name);
  SDG_CHECK(found != weights_.end(), where_, ": these weights do not fit the network: no tensor '", name, "'");
  const Tensor& tensor = found->second;
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] < 0 || shape[i] == tensor.size(static_cast<int64_t>(i));
  SDG_CHECK(fits, where_, ": these weights do not fit the network: ", name, " is ", to_string(tensor.sizes()),
            ", expected ", to_string(shape));
  taken_.insert(name);
  elements_ += tensor.numel();
  if (tensor.is_meta()) return tensor;
  const Tensor own = tensor.detach().to(device_, at::kFloat);
  return own.dim() == 4 ? own.contiguous(at::MemoryFormat::ChannelsLast) : own.contiguous();
}

void WeightReader::expect_all_taken() const {
  int64_t left = 0;
  std::string first;
  for (const auto& [name, tensor] : weights_) {
    if (!taken_.contains(name) && ++left == 1) first = name;
  }
  SDG_CHECK(left == 0, where_, ": these weights do not fit the network: unexpected ", first,
            left > 1 ? cat(" and ", left - 1, " more") : "");
}

}  // namespace sdg::model
