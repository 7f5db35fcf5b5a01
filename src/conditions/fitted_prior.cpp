#include "sdg/conditions/fitted_prior.h"

#include <algorithm>

#include "sdg/conditions/stored_file.h"
#include "sdg/core/error.h"
#include "sdg/core/whole_number.h"
#include "sdg/metrics/gaussian.h"
#include "sdg/metrics/neighbours.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFormat = "sdg-prior-2";
constexpr int64_t kCompared = 2500, kFewest = 4;

int64_t number(const tensors::TensorFile& file, const std::string& key, const std::string& where) {
  const auto found = file.metadata.find(key);
  const auto value = found == file.metadata.end() ? std::nullopt : whole_number(found->second);
  SDG_CHECK(value && *value > 0, where, ": damaged: metadata `", key, "` is not a positive number");
  return *value;
}

metrics::Gaussian gaussian(const Tensor& rows) {
  metrics::GaussianAccumulator sums(rows.size(1));
  sums.add(rows);
  return sums.result();
}

double median_nearest(const metrics::Neighbours& nearest) {
  return nearest.distances.flatten().median().item<double>();
}

}  // namespace

void check_tells_vectors(const checkpoint::Trained& trained, const std::string& what) {
  const auto& stored = trained.network.stored;
  const auto& condition = trained.info.config.condition;
  const bool vectors = stored && stored->values.defined() && stored->values.is_floating_point() &&
                       stored->values.dim() == 2 && !stored->maps.defined();
  SDG_CHECK_USAGE(vectors, what,
                  ": needs a run that tells each image a vector of its own (condition.token embedding, "
                  "or condition.source file with vectors), this one has condition.source ",
                  config::name(condition.source), " and tells ", stored ? "other rows" : "indices or clusters");
  SDG_CHECK_USAGE(trained.prior.defined(), what, ": the conditions of this run had not begun at step ",
                  trained.info.step);
  const auto told = stored->frequencies().gt(0).sum().item<int64_t>();
  SDG_CHECK_USAGE(told >= kFewest, what, ": needs ", kFewest, " vectors at least, this run has ", told);
}

fs::path prior_path(const fs::path& checkpoint) {
  const auto whole = fs::absolute(checkpoint).lexically_normal();
  const auto run = whole.parent_path().parent_path();
  const bool of_run = fs::exists(run / "config.yaml") && fs::is_directory(run / "checkpoints");
  return of_run ? run / "prior.safetensors" : whole.parent_path() / (whole.stem().string() + ".prior.safetensors");
}

void write_prior(const fs::path& path, const network::VectorPrior& prior, const checkpoint::Trained& trained) {
  const auto& size = prior.field->size();
  tensors::TensorFile file{.tensors = prior.tensors(), .metadata = {}};
  file.metadata = {{"format", kFormat},
                   {"dim", std::to_string(size.dim)},
                   {"width", std::to_string(size.width)},
                   {"blocks", std::to_string(size.blocks)},
                   {"step", std::to_string(trained.info.step)},
                   {"fitted_to", stored_key(*trained.network.stored)}};
  tensors::write_tensors(path, file);
}

network::VectorPrior read_prior(const fs::path& path, const checkpoint::Trained& trained) {
  const auto where = path.string();
  check_tells_vectors(trained, "prior learned");
  SDG_CHECK_USAGE(fs::exists(path), "prior learned: ", where, ": no such file; sdg fit-prior makes it");
  const auto file = tensors::read_tensors(path);
  const auto format = file.metadata.find("format");
  SDG_CHECK(format != file.metadata.end() && format->second == kFormat, where,
            ": not written by sdg fit-prior: no format ", kFormat);
  const auto fitted_to = file.metadata.find("fitted_to");
  SDG_CHECK(fitted_to != file.metadata.end() && fitted_to->second == stored_key(*trained.network.stored), where,
            ": was fitted to what images are told at step ", number(file, "step", where), ", not to what ",
            trained.path, " (step ", trained.info.step, ") tells them; sdg fit-prior fits it anew");
  return network::VectorPrior::of({.dim = number(file, "dim", where),
                                   .width = number(file, "width", where),
                                   .blocks = number(file, "blocks", where)},
                                  file.tensors, where);
}

PriorFit fit_of(const network::VectorPrior& prior, const checkpoint::Trained& trained, const at::Device& device) {
  const auto& stored = *trained.network.stored;
  const auto told = stored.frequencies().gt(0).nonzero().squeeze(1);
  PriorFit out;
  out.rows = std::min(kCompared, told.size(0) / 2);
  const auto order = rng::permutation({0, rng::Purpose::kSubset, 0}, told.size(0));
  const auto mixed = stored.values.cpu().to(at::kFloat).index_select(0, told.index_select(0, at::tensor(order)));
  const auto one = mixed.slice(0, 0, out.rows), other = mixed.slice(0, out.rows, 2 * out.rows);
  const auto drawn = prior.draw(0, rng::consecutive(0, out.rows), device).cpu();
  const metrics::FrechetTo to_one(gaussian(one));
  out.drawn_distance = to_one(gaussian(drawn));
  out.told_distance = to_one(gaussian(other));
  out.drawn_nearest = median_nearest(metrics::nearest(drawn, one, 1));
  out.told_nearest = median_nearest(metrics::nearest(other, one, 1));
  return out;
}

}  // namespace sdg::conditions
