#include "sdg/train/audit.h"

#include "sdg/core/error.h"

namespace sdg::train {

std::string to_string(Audit::Verdict verdict) {
  switch (verdict) {
    case Audit::Verdict::kYes:
      return "yes";
    case Audit::Verdict::kNo:
      return "no";
    case Audit::Verdict::kUnknown:
      break;
  }
  return "unknown";
}

Audit audit(const CheckpointInfo& info) {
  std::vector<std::string> against, unclear, in_favour;
  const auto& source = info.config.condition.source;
  if (info.labels_read) {
    against.push_back(cat("the condition was ", source == "label" ? "the label of each image" : "an index of labels",
                          " (condition.source ", source, ")"));
  } else if (source == "none") {
    in_favour.push_back("no condition was given");
  } else if (source == "online" || source == "recluster") {
    in_favour.push_back("conditions are clusters of the network's own features; the trainer had no access to labels");
  } else if (source == "file" && info.pseudo_labels_from.empty()) {
    unclear.push_back(cat("conditions were read from ", info.config.condition.file, ", which nobody here made"));
  } else {
    const auto clusters = source == "file" ? cat("conditions were read from ", info.config.condition.file,
                                                 ", which says that they are k-means clusters of features of ")
                                           : std::string("conditions are k-means clusters of features of ");
    const auto& from = info.pseudo_labels_from;
    if (info.pseudo_labels_free == "yes") {
      in_favour.push_back(cat(clusters, from, ", itself label-free"));
    } else if (info.pseudo_labels_free == "no") {
      against.push_back(cat(clusters, from, ", which saw labels"));
    } else {
      unclear.push_back(
          cat(clusters, from.empty() ? "an unnamed run" : from, ", of which it is not known whether they saw labels"));
    }
  }
  if (info.converted)
    unclear.push_back("the weights were converted from somebody else's, whose training is not known here");
  if (info.initial_weights.empty()) {
    if (!info.converted) in_favour.push_back("the weights began at random");
  } else if (info.initial_class_conditional) {
    against.push_back(cat("the weights began as ", info.initial_weights, ", a network that was trained on labels"));
  } else {
    unclear.push_back(cat("the weights began as ", info.initial_weights, ", whose training is not known here"));
  }
  if (info.latents)
    in_favour.push_back(
        cat("images were seen through an autoencoder (", info.latents->kind, "), which needs no class labels"));
  Audit out;
  out.label_free = !against.empty()   ? Audit::Verdict::kNo
                   : !unclear.empty() ? Audit::Verdict::kUnknown
                                      : Audit::Verdict::kYes;
  for (const auto* part : {&against, &unclear, &in_favour})
    out.reasons.insert(out.reasons.end(), part->begin(), part->end());
  return out;
}

}  // namespace sdg::train
