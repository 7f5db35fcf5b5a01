#include "sdg/conditions/online_head.h"

#include <ATen/ATen.h>

#include "sdg/config/names.h"
#include "sdg/core/error.h"

namespace sdg::conditions {

cluster::Answer online_answer(const checkpoint::Trained& trained, const Tensor& features, const at::Device& device) {
  constexpr int64_t kBlock = 4096;
  auto head = trained.network.head;  // a handle: forward is not const in LibTorch
  const auto& config = trained.info.config;
  SDG_CHECK_USAGE(head, trained.path, ": has no head: its condition.source is ", config::name(config.condition.source));
  SDG_CHECK_USAGE(!network::patch_level(config), trained.path, ": its head clusters patches, not images");
  SDG_CHECK_USAGE(
      !trained.network.rested.defined(), trained.path,
      ": its clusters rest (cluster.end), and the features have moved on since: the head's answers would be "
      "others. `sdg clusters` writes those of the training images");
  const auto width = head->options().feature_dim;
  SDG_CHECK(features.dim() == 2 && features.size(1) == width, trained.path, ": its head takes features of width ",
            width, ", got ", to_string(features.sizes()));
  const at::NoGradGuard no_grad;
  std::vector<Tensor> scores, embeddings;
  for (int64_t first = 0; first < features.size(0); first += kBlock) {
    const auto said = head->forward(features.slice(0, first, first + kBlock).to(device));
    scores.push_back(said.scores.cpu());
    embeddings.push_back(said.embedding.cpu());
  }
  const auto all = at::cat(scores);
  return {all.argmax(1), (all / config.cluster.temperature).softmax(1), head->prototypes->weight.detach().cpu(),
          at::cat(embeddings)};
}

}  // namespace sdg::conditions
