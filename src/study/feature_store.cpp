#include "sdg/study/feature_store.h"

#include <algorithm>
#include <optional>

#include "sdg/checkpoint/audit.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/data/fingerprint.h"
#include "sdg/tensors/tensor_stream.h"

namespace sdg::study {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 26;
constexpr int64_t kChunk = 64;  // pieces are whole chunks of extract_features, so that stopping changes no rounding

std::map<std::string, std::string> metadata_of(const checkpoint::Trained& trained, checkpoint::Weights weights,
                                               const data::OpenedData& opened, const Tap& tap) {
  const auto& info = trained.info;
  return {{"format", "sdg-features-2"},
          {checkpoint::kProvenanceKey, to_json(checkpoint::provenance_of(info))},
          {"data_fingerprint", data::to_text(data::fingerprint(opened))},
          {"made_from", trained.path},
          {"model", info.config.model.name},
          {"step", std::to_string(info.step)},
          {"weights", std::string(config::name(weights))},
          {"data", opened.description},
          {"depth", std::to_string(tap.depth)},
          {"time", cat(tap.time)},
          {"pooling", tap.pooling},
          {"condition", "none"},
          {"noise_seed", std::to_string(info.config.seed)}};
}

}  // namespace

bool store_features(const std::filesystem::path& path, const checkpoint::Trained& trained, checkpoint::Weights weights,
                    const data::OpenedData& opened, const data::Dataset& dataset, const std::vector<int64_t>& indices,
                    const Tap& tap, const at::Device& device, const Progress& progress,
                    const std::function<bool()>& stop, Reducer& reducer) {
  const auto n = static_cast<int64_t>(indices.size()), width = feature_width(tap, *trained.network.model);
  SDG_CHECK_USAGE(n > 0, "features: no images to store");
  std::map<std::string, tensors::TensorStream::Slot> slots{{"features", {at::kFloat, {n, width}}},
                                                           {"indices", {at::kLong, {n}}}};
  if (opened.labels) slots["labels"] = {at::kLong, {n}};
  std::optional<tensors::TensorStream> out;
  if (reducer.rank() == 0) out.emplace(path, slots, metadata_of(trained, weights, opened, tap));
  const auto done_before = reducer.broadcast(at::full({1}, out ? out->rows_done() : 0, at::kLong)).item<int64_t>();
  const auto labels = opened.labels ? opened.labels->labels() : Tensor();
  const auto piece = std::clamp<int64_t>(kPieceBytes / (width * 4) / kChunk, 1, 64) * kChunk;
  for (int64_t first = done_before; first < n; first += piece) {
    if (reducer.max(stop && stop() ? 1 : 0) > 0) return false;
    const auto last = std::min(n, first + piece);
    const std::vector<int64_t> own(indices.begin() + first, indices.begin() + last);
    const auto on_piece = [&](int64_t done, int64_t) {
      if (progress) progress(first + done, n);
    };
    const auto features = network::extract_features(trained.info.config, trained.network, dataset, own, {tap}, device,
                                                    on_piece, rng::Purpose::kTeacherNoise, reducer);
    if (!out) continue;
    out->write("features", first, features.front());
    const auto shown = at::tensor(dataset.shown(own));
    out->write("indices", first, shown);
    if (labels.defined()) out->write("labels", first, labels.index_select(0, shown));
    out->commit(last);
  }
  if (out) out->finish();
  return true;
}

}  // namespace sdg::study
