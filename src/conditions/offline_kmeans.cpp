#include "sdg/conditions/offline_kmeans.h"

#include <cmath>

#include "sdg/checkpoint/audit.h"
#include "sdg/cluster/standardizer.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/unit_rows.h"
#include "sdg/io/file_kind.h"
#include "sdg/metrics/neighbours.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/torch_file.h"

namespace sdg::conditions {

Tensor prepared(const Tensor& features, const OfflineKmeans& options) {
  auto x = features;
  if (options.standardize) x = cluster::Standardizer::fit(x).apply(x);
  return options.l2 ? unit_rows(x) : x;
}

PseudoLabels cluster_features(const Tensor& features, const OfflineKmeans& options, const Progress& progress,
                              Reducer& reducer) {
  const auto x = prepared(features, options);
  const auto zero = x.eq(0).all(1);
  if (const auto count = options.l2 ? zero.sum().item<int64_t>() : 0; count > 0)
    log::warning(cat("features: ", count, " of ", x.size(0), " rows are zero (the first is row ",
                     zero.to(at::kInt).argmax().item<int64_t>(), "): they have no direction"));
  const auto result = cluster::kmeans(x, options.kmeans, progress, reducer);
  SDG_CHECK(
      std::isfinite(result.inertia),
      "features: squares of their distances are too large for k-means; standardise them, or bring them to length 1");
  PseudoLabels out{result.assignments.cpu(), options.kmeans.clusters, result.inertia, result.iterations,
                   result.centroids.cpu()};
  if (options.keep_features) out.features = x.to(at::kFloat).cpu();
  if (options.neighbours > 0) {
    SDG_CHECK(options.neighbours < x.size(0), "neighbours: expected fewer than the ", x.size(0), " images, got ",
              options.neighbours);
    out.neighbours = metrics::nearest_others(x.cpu(), options.neighbours).places;
  }
  return out;
}

tensors::TensorFile pseudo_label_file(const PseudoLabels& labels, const PseudoLabelOrigin& origin) {
  tensors::TensorFile file;
  file.tensors["ids"] = labels.ids;
  if (labels.centroids.defined()) file.tensors["centroids"] = labels.centroids;
  if (labels.features.defined()) file.tensors["features"] = labels.features;
  if (labels.neighbours.defined()) file.tensors["neighbours"] = labels.neighbours;
  file.metadata = {{"format", "sdg-pseudo-labels-2"},  // with a checksum; files of before have no format
                   {"made_from", origin.made_from},
                   {"label_free", origin.label_free},
                   {"tapped", origin.tapped},
                   {"clusters", std::to_string(labels.clusters)},
                   {"method", "kmeans"},
                   {"inertia", cat(labels.inertia)}};
  if (!origin.provenance.empty()) file.metadata[checkpoint::kProvenanceKey] = to_json(origin.provenance);
  if (origin.images.known()) file.metadata["data_fingerprint"] = data::to_text(origin.images);
  if (!origin.recipe.empty()) file.metadata["recipe"] = origin.recipe;
  return file;
}

tensors::TensorFile answer_file(const cluster::Answer& answer, const std::string& method, int64_t clusters,
                                const PseudoLabelOrigin& origin) {
  auto file = pseudo_label_file({answer.ids, clusters}, origin);
  file.metadata.erase("inertia");
  file.metadata["method"] = method;
  if (answer.probabilities.defined()) file.tensors["probabilities"] = answer.probabilities;
  if (answer.prototypes.defined()) file.tensors["prototypes"] = answer.prototypes;
  if (answer.embeddings.defined()) file.tensors["embeddings"] = answer.embeddings;
  return file;
}

PseudoLabelOrigin pseudo_label_origin(const std::filesystem::path& path) {
  if (io::lower_suffix(path) != ".safetensors") return {};
  const auto metadata = tensors::read_tensor_header(path).metadata;
  const auto entry = [&](const char* name) {
    const auto found = metadata.find(name);
    return found == metadata.end() ? std::string() : found->second;
  };
  PseudoLabelOrigin out{entry("made_from"), entry("label_free"), entry("tapped")};
  out.provenance = checkpoint::provenance_of(metadata, path.string());
  if (!out.provenance.empty()) {
    out.label_free = to_text(out.provenance.verdict());
    if (out.made_from.empty()) out.made_from = path.filename().string();  // clusters that a checkpoint holds
  }
  out.recipe = entry("recipe");
  if (const auto text = entry("data_fingerprint"); !text.empty())
    out.images = data::parse_fingerprint(text, path.string());
  return out;
}

PseudoLabelOrigin feature_origin(const std::filesystem::path& path) {
  PseudoLabelOrigin out{std::filesystem::absolute(path).lexically_normal().string(), "", "features of a file"};
  if (io::lower_suffix(path) != ".safetensors") return out;
  const auto header = tensors::read_tensor_header(path);
  out.provenance = checkpoint::provenance_of(header.metadata, path.string());
  if (!out.provenance.empty()) out.label_free = to_text(out.provenance.verdict());
  const auto images = header.metadata.find("data_fingerprint");
  const auto rows = header.tensors.find("indices");
  if (images == header.metadata.end() || rows == header.tensors.end()) return out;
  const auto of_data = data::parse_fingerprint(images->second, path.string());
  if (rows->second.numel() == of_data.images) out.images = of_data;
  return out;
}

std::string tap_text(const recipe::RunConfig& config, int64_t depth) {
  return cat("depth ", depth, ", t ", config.cluster.teacher_time, ", pooling ", config::name(config.cluster.pooling));
}

namespace {

// Of named tensors the one called `features`, or the only one.
Tensor named_features(const std::map<std::string, Tensor>& tensors, const std::string& where) {
  const auto named = tensors.find("features");
  SDG_CHECK(named != tensors.end() || tensors.size() == 1, where,
            ": expected a tensor `features` or only one tensor, it has ", tensors.size());
  return named != tensors.end() ? named->second : tensors.begin()->second;
}

Tensor from_torch(const std::filesystem::path& path) {
  const tensors::TorchFile file(path);
  if (const auto* whole = file.root().get<tensors::StoredTensor>()) return file.tensor(*whole).clone();
  std::map<std::string, Tensor> named;
  if (const auto* dict = file.root().get<tensors::TorchValue::Dict>()) {
    for (const auto& [name, value] : dict->items)
      if (const auto* one = value->get<tensors::StoredTensor>()) named[name] = file.tensor(*one).clone();
  }
  return named_features(named, path.string());
}

Tensor stored_features(const std::filesystem::path& path) {
  const auto suffix = io::lower_suffix(path);
  if (suffix == ".npy") return tensors::read_npy(path);
  if (suffix == ".pth" || suffix == ".pt") return from_torch(path);
  return named_features(tensors::read_tensors(path).tensors, path.string());
}

}  // namespace

Tensor read_features(const std::filesystem::path& path) {
  SDG_CHECK(std::filesystem::is_regular_file(path), path.string(), ": no such file of features");
  auto features = stored_features(path);
  SDG_CHECK(features.dim() == 2 && features.size(0) > 0 && features.size(1) > 0 && features.is_floating_point(),
            path.string(), ": features must be floating-point numbers [N, F], got ", features.scalar_type(), " ",
            features.sizes());
  features = features.to(at::kFloat);
  const auto bad = features.isfinite().all(1).logical_not();
  SDG_CHECK(!bad.any().item<bool>(), path.string(), ": holds features that are not finite (the first in row ",
            bad.to(at::kInt).argmax().item<int64_t>(), ")");
  return features;
}

}  // namespace sdg::conditions
