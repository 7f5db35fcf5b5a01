#include "sdg/checkpoint/provenance.h"

#include <algorithm>

#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/utf8.h"

namespace sdg::checkpoint {

std::string to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kYes:
      return "yes";
    case Verdict::kNo:
      return "no";
    case Verdict::kUnknown:
      break;
  }
  return "unknown";
}

Verdict parse_verdict(const std::string& text) {
  return text == "yes" ? Verdict::kYes : text == "no" ? Verdict::kNo : Verdict::kUnknown;
}

Verdict worse(Verdict a, Verdict b) {
  for (const auto verdict : {Verdict::kNo, Verdict::kUnknown}) {
    if (a == verdict || b == verdict) return verdict;
  }
  return Verdict::kYes;
}

Verdict Provenance::verdict() const {
  if (stages_.empty()) return Verdict::kUnknown;
  Verdict out = Verdict::kYes;
  for (const auto& stage : stages_) out = worse(out, stage.label_free);
  return out;
}

void Provenance::add(Stage stage) {
  if (std::find(stages_.begin(), stages_.end(), stage) == stages_.end()) stages_.push_back(std::move(stage));
}

void Provenance::inherit(const Provenance& other, const std::string& role) {
  for (auto stage : other.stages_) {
    stage.of = stage.of.empty() ? role : cat(role, ": ", stage.of);
    add(std::move(stage));
  }
}

void Provenance::trained(Stage stage, int64_t first, int64_t last) {
  if (last <= first) return;
  stage.first = first;
  stage.last = last;
  for (auto& before : stages_) {
    auto longer = before;
    longer.first = stage.first;
    longer.last = stage.last;
    if (longer != stage || before.last < first || before.first > first) continue;
    before.last = std::max(before.last, last);
    return;
  }
  stages_.push_back(std::move(stage));
}

std::string to_text(const Stage& stage) {
  std::string text = stage.of.empty() ? "" : stage.of + ": ";
  if (stage.last > stage.first) text += cat("steps ", stage.first, " to ", stage.last, ": ");
  return text + stage.what;
}

std::string to_json(const Provenance& provenance) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& stage : provenance.stages()) {
    nlohmann::ordered_json row{{"what", stage.what}, {"label_free", to_text(stage.label_free)}};
    if (!stage.of.empty()) row["of"] = stage.of;
    if (!stage.key.empty()) row["key"] = stage.key;
    if (stage.last > stage.first) row["steps"] = {stage.first, stage.last};
    out.push_back(std::move(row));
  }
  return io::nested_json_text(out);
}

Provenance parse_provenance(const std::map<std::string, std::string>& metadata, const std::string& where) {
  Provenance out;
  const auto found = metadata.find(kProvenanceKey);
  if (found == metadata.end() || found->second.empty()) return out;
  try {
    for (const auto& row : nlohmann::json::parse(found->second)) {
      Stage stage{from_utf8(row.at("what").get<std::string>()), parse_verdict(row.at("label_free").get<std::string>())};
      stage.of = from_utf8(row.value("of", std::string()));
      stage.key = row.value("key", std::string());
      if (row.contains("steps")) {
        stage.first = row.at("steps").at(0).get<int64_t>();
        stage.last = row.at("steps").at(1).get<int64_t>();
      }
      out.add(std::move(stage));
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat(where, ": malformed metadata `", kProvenanceKey, "`: ", error.what()));
  }
  return out;
}

}  // namespace sdg::checkpoint
