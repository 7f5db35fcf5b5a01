#include "sdg/conditions/offline_kmeans.h"

#include "sdg/checkpoint/audit.h"
#include "sdg/cluster/standardizer.h"
#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/npz.h"

namespace sdg::conditions {

PseudoLabels cluster_features(const Tensor& features, const OfflineKmeans& options, const Progress& progress,
                              Reducer& reducer) {
  auto x = features;
  if (options.standardize) x = cluster::Standardizer::fit(x).apply(x);
  if (options.l2) x = x / x.norm(2, {1}, true).clamp_min(1e-12);
  const auto result = cluster::kmeans(x, options.kmeans, progress, reducer);
  return {result.assignments.cpu(), options.kmeans.clusters, result.inertia, result.iterations};
}

tensors::TensorFile pseudo_label_file(const PseudoLabels& labels, const PseudoLabelOrigin& origin) {
  tensors::TensorFile file;
  file.tensors["ids"] = labels.ids;
  file.metadata = {{"format", "sdg-pseudo-labels-2"},  // with a checksum; files of before have no format
                   {"made_from", origin.made_from},   {"label_free", origin.label_free},
                   {"tapped", origin.tapped},         {"clusters", std::to_string(labels.clusters)},
                   {"inertia", cat(labels.inertia)}};
  if (!origin.provenance.empty()) file.metadata[checkpoint::kProvenanceKey] = to_json(origin.provenance);
  if (origin.images.known()) file.metadata["data_fingerprint"] = data::to_text(origin.images);
  if (!origin.recipe.empty()) file.metadata["recipe"] = origin.recipe;
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
  if (path.extension() == ".npy") return out;
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

Tensor read_features(const std::filesystem::path& path) {
  SDG_CHECK(std::filesystem::is_regular_file(path), path.string(), ": no such file of features");
  Tensor features;
  if (io::lower_suffix(path) == ".npy") {
    features = tensors::read_npy(path);
  } else {
    const auto file = tensors::read_tensors(path);
    const auto named = file.tensors.find("features");
    SDG_CHECK(named != file.tensors.end() || file.tensors.size() == 1, path.string(),
              ": expected a tensor `features` or only one tensor, it has ", file.tensors.size());
    features = named != file.tensors.end() ? named->second : file.tensors.begin()->second;
  }
  SDG_CHECK(features.dim() == 2 && features.size(0) > 0 && features.size(1) > 0 && features.is_floating_point(),
            path.string(), ": features must be floating-point numbers [N, F], got ", features.scalar_type(), " ",
            features.sizes());
  features = features.to(at::kFloat);
  SDG_CHECK(features.isfinite().all().item<bool>(), path.string(), ": holds features that are not finite");
  return features;
}

}  // namespace sdg::conditions
