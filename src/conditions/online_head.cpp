#include "sdg/conditions/online_head.h"

#include <ATen/ATen.h>

#include "sdg/conditions/feature_clusters.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::conditions {

cluster::Answer online_answer(const checkpoint::Trained& trained, const Tensor& features, bool of_training_images,
                              const at::Device& device) {
  constexpr int64_t kBlock = 4096;
  auto head = trained.network.head;  // a handle: forward is not const in LibTorch
  const auto& config = trained.info.config;
  SDG_CHECK_USAGE(head, trained.path, ": has no head: its condition.source is ", config::name(config.condition.source));
  SDG_CHECK_USAGE(!network::patch_level(config), trained.path, ": its head clusters patches, not images");
  const auto& rested = trained.network.rested;
  SDG_CHECK_USAGE(!rested.defined() || of_training_images, trained.path,
                  ": its clusters rest (cluster.end), and the features have moved on since: it knows those of its "
                  "training images, and cannot tell those of others");
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
  if (rested.defined()) {
    check_shape(features, {rested.size(0), width}, trained.path + ": features of its training images");
    const auto kept = rested.select(1, 0).to(at::kLong), ids = at::where(kept.ge(0), kept, all.argmax(1));
    return {ids, sure_probabilities(ids, all.size(1)), head->prototypes->weight.detach().cpu(), at::cat(embeddings)};
  }
  return {all.argmax(1), (all / config.cluster.temperature).softmax(1), head->prototypes->weight.detach().cpu(),
          at::cat(embeddings)};
}

}  // namespace sdg::conditions
