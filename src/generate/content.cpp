#include "sdg/generate/content.h"

#include <bit>

#include "sdg/config/write.h"

namespace sdg::generate {
namespace {

int64_t bits(double value) {
  return std::bit_cast<int64_t>(value + 0.0);  // -0 is 0
}

}  // namespace

std::string content_digest(const checkpoint::Trained& trained) {
  io::Digest digest;
  auto config = trained.info.config;
  digest.text(config::to_yaml(config::Fields::of(config))).number(trained.info.step);
  for (const auto& [name, tensor] : trained.network.tensors("")) digest.text(name).tensor(tensor);
  if (trained.prior.defined()) digest.tensor(trained.prior);
  return digest.hex();
}

std::string content_digest(const metrics::Gaussian& statistics) {
  io::Digest digest;
  digest.tensor(statistics.mu).tensor(statistics.sigma).number(statistics.count);
  digest.text(statistics.extractor).text(statistics.weights).text(statistics.size);
  return digest.hex();
}

void add_content(io::Digest& digest, const GenerateOptions& options, const std::string& decoder) {
  digest.number(options.first).number(options.count).number(options.seed).number(options.steps);
  digest.number(bits(options.guidance)).number(bits(options.guidance_begin)).number(bits(options.guidance_end));
  digest.text(options.solver).text(options.grid).number(options.cluster).number(options.unconditional ? 1 : 0);
  if (options.map.defined()) digest.tensor(options.map);
  digest.text(decoder);
}

}  // namespace sdg::generate
