#include "sdg/learn/kept_tokens.h"

#include "sdg/learn/state.h"

namespace sdg::learn {
namespace {
constexpr const char* kName = "kept_tokens";
}

KeptTokens::KeptTokens(int64_t images, int64_t width) : tokens_(at::zeros({images, width}, at::kHalf)) {}

Tensor KeptTokens::of(const std::vector<int64_t>& images) const {
  return tokens_.index_select(0, at::tensor(images, at::kLong)).to(at::kFloat);
}

void KeptTokens::remember(const std::vector<int64_t>& images, const Tensor& tokens) {
  tokens_.index_copy_(0, at::tensor(images, at::kLong), tokens.to(at::kCPU, at::kHalf));
}

void KeptTokens::save(tensors::TensorFile& file) const {
  if (keeps()) file.tensors[kName] = tokens_;
}

void KeptTokens::load(const tensors::TensorFile& file, const std::string& where) {
  if (keeps() && file.tensors.count(kName)) restore(tokens_, file, kName, where);
}

}  // namespace sdg::learn
