#include "sdg/evaluate/protocol.h"

#include <algorithm>

#include "generate/options_json_impl.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/io/digest.h"

namespace sdg::evaluate {
namespace {

const std::string* value_of(const Protocol& protocol, const std::string& field) {
  const auto found = std::find_if(protocol.begin(), protocol.end(), [&](const auto& p) { return p.first == field; });
  return found == protocol.end() ? nullptr : &found->second;
}

}  // namespace

Protocol images_protocol(const vision::FeatureExtractor& extractor, const std::string& count, const std::string& size,
                         const Side& reference) {
  Protocol out{{"extractor", extractor.name()},
               {"weights", extractor.weights_digest()},
               {"input", extractor.input()},
               {"precision", cat("features ", config::name(extractor.precision()), ", sums float64")},
               {"count", count},
               {"size", size}};
  if (reference.text.empty()) return out;
  const auto& pooled = reference.pooled;
  out.emplace_back("reference", reference.fingerprint);
  out.emplace_back("reference.count", pooled.count > 0 ? std::to_string(pooled.count) : "unknown");
  out.emplace_back("reference.size", pooled.size.empty() ? "unknown" : pooled.size);
  return out;
}

void add_drawn(Protocol& protocol, const sample::SampleOptions& sample, recipe::Source condition) {
  const auto options = generate::to_json(sample);
  for (const auto& [field, value] : options.items()) {
    if (field == "seed" || field == "count") continue;
    // It came when there were protocols already, whose ids it leaves as they are where it does nothing.
    if (field == "inner_guidance" && sample.inner_guidance == 1) continue;
    protocol.emplace_back("sample." + field, value.is_string() ? value.get<std::string>() : value.dump());
  }
  protocol.emplace_back("sample.condition", config::name(condition));
}

std::string protocol_id(const Protocol& protocol) {
  io::Digest digest;
  for (const auto& [field, value] : protocol) digest.text(field).text(value);
  return digest.hex().substr(0, 16);
}

std::vector<std::string> protocol_differences(const Protocol& a, const Protocol& b) {
  // How one metric is taken is no difference to a result that has another.
  const auto of_a_metric = [](const std::string& field) {
    return field == "kid" || field == "is" || field == "infinity" || field == "interval";
  };
  std::vector<std::string> out;
  for (const auto& [field, value] : a) {
    const auto* other = value_of(b, field);
    if (!other && of_a_metric(field)) continue;
    if (!other || *other != value) out.push_back(cat(field, " ", value, " against ", other ? *other : "none"));
  }
  for (const auto& [field, value] : b)
    if (!value_of(a, field) && !of_a_metric(field)) out.push_back(cat(field, " none against ", value));
  return out;
}

}  // namespace sdg::evaluate
