#include "sdg/checkpoint/audit.h"

#include "sdg/core/error.h"
#include "sdg/recipe/source.h"

namespace sdg::checkpoint {

Stage condition_stage(const recipe::RunConfig& config, const std::string& from, Verdict free) {
  const auto& source = config.condition.source;
  if (source == recipe::Source::kLabel)
    return {"the condition was the label of each image (condition.source label)", Verdict::kNo};
  if (source == recipe::Source::kNone) return {"no condition was given", Verdict::kYes};
  if (source == recipe::Source::kOnline || source == recipe::Source::kRecluster)
    return {"conditions are clusters of the network's own features; the trainer had no access to labels",
            Verdict::kYes};
  const auto& file = config.condition.file;
  if (source == recipe::Source::kFile && from.empty())
    return {cat("conditions were read from ", file, ", which nobody here made"), Verdict::kUnknown};
  const auto clusters =
      source == recipe::Source::kFile
          ? cat("conditions were read from ", file, ", which says that they are clusters of ", from)
          : cat("conditions are k-means clusters of features of ", from.empty() ? "an unnamed run" : from);
  if (free == Verdict::kYes) return {clusters + ", itself label-free", free};
  if (free == Verdict::kNo) return {clusters + ", which saw labels", free};
  return {clusters + ", of which it is not known whether they saw labels", free};
}

Stage random_start_stage() {
  return {"the weights began at random", Verdict::kYes};
}

Stage alignment_stage(const recipe::AlignOptions& align) {
  const auto what = cat("features were aligned with those of ", align.extractor);
  const bool published = align.weights.empty();
  if (align.extractor.starts_with("dino"))
    return published ? Stage{what + ", which is published as trained without labels", Verdict::kYes}
                     : Stage{cat(what, " in ", align.weights, ", whose training is not known here"), Verdict::kUnknown};
  if (align.extractor.starts_with("clip-"))
    return {what + ", which was trained on captions: whether they named classes is not known", Verdict::kUnknown};
  if (align.extractor.starts_with("torchscript:"))
    return {cat(what, " in ", align.weights, ", whose training is not known here"), Verdict::kUnknown};
  return {what + ", a classifier that was trained on labels", Verdict::kNo};
}

Stage latents_stage(const data::LatentCard& card) {
  return {cat("images were seen through an autoencoder (", card.kind, "), which needs no class labels"), Verdict::kYes};
}

namespace {

// Of checkpoints that carry no chain.
Provenance from_older_metadata(const CheckpointInfo& info) {
  Provenance out;
  auto stage = condition_stage(info.config, info.pseudo_labels_from, parse_verdict(info.pseudo_labels_free));
  if (info.labels_read && !recipe::facts_of(info.config).labels)
    stage = {
        cat("the condition was an index of labels (condition.source ", config::name(info.config.condition.source), ")"),
        Verdict::kNo};
  if (info.converted) {
    out.add({"the weights were converted from somebody else's, whose training is not known here", Verdict::kUnknown});
    out.add(std::move(stage));
  } else {
    out.trained(stage, 0, info.step);
    if (info.step == 0) out.add(std::move(stage));
  }
  if (info.initial_weights.empty()) {
    if (!info.converted) out.add(random_start_stage());
  } else if (info.initial_class_conditional) {
    out.add(
        {cat("the weights began as ", info.initial_weights, ", a network that was trained on labels"), Verdict::kNo});
  } else {
    out.add(
        {cat("the weights began as ", info.initial_weights, ", whose training is not known here"), Verdict::kUnknown});
  }
  if (info.latents) out.add(latents_stage(*info.latents));
  return out;
}

}  // namespace

Provenance provenance_of(const CheckpointInfo& info) {
  return info.provenance.empty() ? from_older_metadata(info) : info.provenance;
}

Provenance provenance_of(const std::map<std::string, std::string>& metadata, const std::string& where) {
  auto chain = parse_provenance(metadata, where);
  if (!chain.empty()) return chain;
  const auto format = metadata.find("format");
  if (format == metadata.end() || !format->second.starts_with("sdg-checkpoint")) return {};
  tensors::TensorFile file;
  file.metadata = metadata;
  return provenance_of(parse_info(file, where));
}

Audit audit(const CheckpointInfo& info) {
  const auto chain = provenance_of(info);
  Audit out;
  out.label_free = chain.verdict();
  for (const auto verdict : {Verdict::kNo, Verdict::kUnknown, Verdict::kYes}) {
    for (const auto& stage : chain.stages()) {
      if (stage.label_free == verdict) out.reasons.push_back(to_text(stage));
    }
  }
  return out;
}

}  // namespace sdg::checkpoint
