#include "sdg/network/assign.h"

#include <algorithm>

#include "network/chunks.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::network {
namespace {

constexpr int64_t kChunk = 64;  // images

// Calls `compute` on this rank's chunks of the indices and joins the rows of all, [n, ...] like `none`, in order.
Tensor by_chunks(const std::vector<int64_t>& indices, const Tensor& none, const at::Device& device,
                 const Progress& progress, Reducer& reducer,
                 const std::function<Tensor(const std::vector<int64_t>&)>& compute) {
  const auto all = static_cast<int64_t>(indices.size());
  const auto share = own_rows(chunk_count(indices, kChunk), reducer);
  const std::vector<int64_t> own(indices.begin() + std::min(all, share.begin * kChunk),
                                 indices.begin() + std::min(all, share.end * kChunk));
  std::vector<Tensor> parts(static_cast<size_t>(share.size()), none);
  for_each_chunk(own, kChunk, device, progress,
                 [&](int64_t i, const std::vector<int64_t>& chunk) { parts[static_cast<size_t>(i)] = compute(chunk); });
  return reducer.all_gather(parts.empty() ? none : at::cat(parts));
}

Tensor chunk_features(const recipe::RunConfig& config, const Network& network, const data::Dataset& dataset,
                      const std::vector<int64_t>& indices, const at::Device& device) {
  const auto x = load_images(dataset, indices, device);
  const auto eps = rng::normal({recipe::seed_of(config), rng::Purpose::kTeacherNoise, 1}, dataset.shown(indices),
                               x.sizes().slice(1), device);
  const auto t = at::full({x.size(0)}, config.cluster.teacher_time, x.options());
  return features_at(config, network, x, eps, t);
}

Tensor ask_head(const recipe::RunConfig& config, const Network& network, const data::Dataset& dataset,
                const std::vector<int64_t>& indices, const at::Device& device, const Progress& progress,
                Reducer& reducer) {
  auto head = network.head;  // a handle: forward is not const in LibTorch
  const bool patches = patch_level(config);
  const auto none = patches ? at::empty({0, network.model->patch_tokens()}, at::kLong) : at::empty({0}, at::kLong);
  return by_chunks(indices, none, device, progress, reducer, [&](const std::vector<int64_t>& chunk) {
    const at::NoGradGuard no_grad;
    const auto ids = head->forward(chunk_features(config, network, dataset, chunk, device)).scores.argmax(1).cpu();
    return patches ? ids.view({static_cast<int64_t>(chunk.size()), -1}) : ids;  // [n] or [n, L]
  });
}

// Those that rest, and of images that never had a look what the head says.
Tensor rested_clusters(const recipe::RunConfig& config, const Network& network, const data::Dataset& dataset,
                       const std::vector<int64_t>& indices, const at::Device& device, const Progress& progress,
                       Reducer& reducer) {
  SDG_CHECK(dataset.size() == network.rested.size(0), "clusters rest for the ", network.rested.size(0),
            " training images, got a data set of ", dataset.size());
  auto ids = network.rested.index_select(0, at::tensor(indices, at::kLong)).to(at::kLong);  // [n, L or 1]
  const auto rows = ids.select(1, 0).lt(0).nonzero().squeeze(1);
  if (rows.numel() > 0) {
    std::vector<int64_t> missing;
    for (int64_t i = 0; i < rows.numel(); ++i) missing.push_back(indices[static_cast<size_t>(rows[i].item<int64_t>())]);
    const auto said = ask_head(config, network, dataset, missing, device, progress, reducer);
    ids.index_copy_(0, rows, said.view({-1, ids.size(1)}));
  }
  return patch_level(config) ? ids : ids.squeeze(1);
}

}  // namespace

Tensor load_images(const data::Dataset& dataset, at::IntArrayRef indices, const at::Device& device) {
  return dataset.values(indices).to(device);
}

Tensor assign_clusters(const recipe::RunConfig& config, const Network& network, const data::Dataset& dataset,
                       const std::vector<int64_t>& indices, const at::Device& device, const Progress& progress,
                       Reducer& reducer) {
  SDG_CHECK(network.head, "assign_clusters: this network has no prototypes");
  if (network.rested.defined()) return rested_clusters(config, network, dataset, indices, device, progress, reducer);
  return ask_head(config, network, dataset, indices, device, progress, reducer);
}

std::vector<int64_t> evaluation_subset(int64_t size, int64_t limit, uint64_t seed) {
  auto order = rng::permutation({seed, rng::Purpose::kSubset, 0}, size);
  order.resize(static_cast<size_t>(std::min(size, limit)));
  std::sort(order.begin(), order.end());
  return order;
}

std::vector<int64_t> evaluation_subset(const data::Dataset& dataset, int64_t limit, uint64_t seed) {
  auto indices = dataset.shown(evaluation_subset(dataset.size(), limit, seed));
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  return indices;
}

}  // namespace sdg::network
