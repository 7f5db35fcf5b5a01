#include "sdg/generate/content.h"

#include <bit>

#include "sdg/config/value.h"
#include "sdg/config/write.h"

namespace sdg::generate {
namespace {

void add(io::Digest& digest, const config::Field& field) {
  struct Add {
    io::Digest& digest;
    void operator()(bool value) const { digest.number(value ? 1 : 0); }
    void operator()(int64_t value) const { digest.number(value); }
    void operator()(double value) const { digest.number(std::bit_cast<int64_t>(value + 0.0)); }  // -0 is 0
    void operator()(const std::string& value) const { digest.text(value); }
    void operator()(const std::vector<int64_t>& value) const {
      digest.number(static_cast<int64_t>(value.size()));
      for (const auto each : value) digest.number(each);
    }
  };
  std::visit(Add{digest}, config::current_value(field));
}

}  // namespace

std::string content_digest(const checkpoint::Trained& trained) {
  io::Digest digest;
  recipe::RunConfig config;
  const auto fields = config::Fields::of(config);
  config = trained.info.config;
  digest.text(config::to_yaml(fields, {.without_later = true})).number(trained.info.step);
  for (const auto& [name, tensor] : trained.network.tensors("")) digest.text(name).tensor(tensor);
  if (trained.prior.defined()) digest.tensor(trained.prior);
  if (const auto& stored = trained.network.stored) {
    for (const auto& rows : {stored->values, stored->maps, stored->weights})
      if (rows.defined()) digest.tensor(rows);
  }
  if (const auto& vectors = trained.network.vectors)
    for (const auto& [name, tensor] : vectors->tensors()) digest.text(name).tensor(tensor);
  return digest.hex();
}

std::string content_digest(const metrics::Gaussian& statistics) {
  io::Digest digest;
  digest.tensor(statistics.mu).tensor(statistics.sigma).number(statistics.count);
  digest.text(statistics.extractor).text(statistics.weights).text(statistics.size);
  return digest.hex();
}

void add_content(io::Digest& digest, const Request& request, const std::string& decoder) {
  sample::SampleOptions sample;
  const auto fields = config::Fields::of(sample);
  sample = request.sample;
  const auto idle = sample::idle(sample);
  // Which images, then how they are drawn.
  digest.number(request.first);
  for (const auto* which : {"count", "seed"}) add(digest, *fields.find(which));
  for (const auto& field : fields.list()) {
    if (field.doc.only_speed || field.path == "count" || field.path == "seed") continue;
    if (field.doc.later) {
      if (idle.contains(field.path) || !config::is_changed(field)) continue;
      digest.text(field.path);
    }
    add(digest, field);
  }
  digest.number(request.cluster).number(request.unconditional ? 1 : 0);
  if (request.map.defined()) digest.tensor(request.map);
  digest.text(decoder);
  // What came later leaves the digests of before as they were.
  for (const auto& [cluster, share] : request.mixture)
    digest.text("mixture").number(cluster).number(std::bit_cast<int64_t>(share));
  if (request.guide) digest.text("guide").text(content_digest(*request.guide));
  if (request.from.defined()) digest.text("from").tensor(request.from).number(std::bit_cast<int64_t>(request.strength));
  if (request.drawn_anew.defined()) digest.text("anew").tensor(request.drawn_anew);
  if (request.rows.defined()) digest.text("rows").tensor(request.rows);
  if (request.between) digest.text("between").number(request.between->first).number(request.between->second);
}

}  // namespace sdg::generate
