#include "run/distance_watch.h"

#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/evaluate/image_feeds.h"
#include "sdg/evaluate/measure.h"
#include "sdg/evaluate/protocol.h"
#include "sdg/latents/latent_images.h"

namespace sdg::run {

DistanceWatch::DistanceWatch(const recipe::RunConfig& config, const Supply& supply, const at::Device& device,
                             const std::function<void(const std::string&)>& on_event, Reducer& reducer)
    : config_(config), device_(device), reducer_(reducer) {
  if (config.eval.every == 0) return;
  request_.sample = config.sample;
  request_.sample.count = config.eval.every_count > 0 ? config.eval.every_count : config.eval.count;
  request_.to_images = supply.to_images;
  request_.ranks = &reducer;
  reducer.first_alone([&] { look_at_reference(supply, on_event); });
}

DistanceWatch::~DistanceWatch() = default;

void DistanceWatch::look_at_reference(const Supply& supply, const std::function<void(const std::string&)>& on_event) {
  extractor_ = vision::make_extractor(config_.eval.extractor, config_.eval.weights, device_, config_.config_dir);
  name_ = extractor_->metric_name();
  const std::vector<evaluate::Metric> metrics{evaluate::Metric::kFrechet};
  const auto wanted = evaluate::wanted_of(metrics, false);
  const auto& path = config_.eval.reference;
  evaluate::Side reference;
  if (!path.empty() && evaluate::holds_statistics(path)) {
    reference = evaluate::stored_side(path, *extractor_, metrics, false);
  } else if (!path.empty()) {
    reference = evaluate::gather(evaluate::path_feed(path, {}), *extractor_, wanted);
    reference.text = path;
  } else {
    checkpoint::CheckpointInfo info;
    info.config = config_;
    if (supply.opened.latents) info.latents = supply.opened.latents->card();
    const auto images = latents::open_images(latents::reference_options(info, true), config_.config_dir);
    reference = evaluate::gather(evaluate::dataset_feed(images, 0), *extractor_, wanted);
    reference.text = "the training data";
  }
  auto protocol = evaluate::images_protocol(*extractor_, std::to_string(request_.sample.count), "as drawn", reference);
  evaluate::add_drawn(protocol, request_.sample, config_.condition.source);
  protocol_ = evaluate::protocol_id(protocol);
  to_reference_ = std::make_unique<const metrics::FrechetTo>(reference.pooled);
  if (on_event)
    on_event(cat(name_, " every ", config_.eval.every, " steps, of ", request_.sample.count, " images against ",
                 reference.pooled.count > 0 ? cat(reference.pooled.count, " of ") : std::string(), reference.text));
}

bool DistanceWatch::due(int64_t step) const {
  return config_.eval.every > 0 && step > 0 && (step % config_.eval.every == 0 || step >= config_.train.steps);
}

double DistanceWatch::distance(const checkpoint::Trained& trained, const generate::Request& request) const {
  try {
    const auto drawn = evaluate::gather(evaluate::sample_feed(trained, request, device_), *extractor_, {});
    return (*to_reference_)(drawn.pooled);
  } catch (const generate::NotFinite& error) {  // a figure is not worth a run
    log::warning(cat(name_, " was not measured: ", error.what()));
    return std::numeric_limits<double>::quiet_NaN();
  }
}

std::optional<Measured> DistanceWatch::measure(learn::Learner& learner, checkpoint::RunFigures& figures) const {
  checkpoint::Trained trained;
  trained.info.config = config_;
  trained.info.step = learner.steps_done();
  trained.network = learner.teacher();
  trained.prior = learner.prior();
  double found = std::numeric_limits<double>::quiet_NaN();
  std::exception_ptr failure;
  if (reducer_.rank() > 0) {
    while (generate::help(config_, trained.network, trained.prior, device_, request_)) {
    }
  } else {
    try {
      found = distance(trained, request_);
    } catch (const RankError&) {
      throw;
    } catch (...) {
      failure = std::current_exception();
    }
    generate::dismiss(request_);
  }
  reducer_.first_alone([&] {
    if (failure) std::rethrow_exception(failure);
  });
  if (!std::isfinite(found)) return std::nullopt;
  figures.measure_by(protocol_);
  const bool lowest = figures.measured(found, learner.steps_done());
  return Measured{name_, found, learner.steps_done(), lowest};
}

std::string to_text(const Measured& measured, const checkpoint::RunFigures& figures) {
  char value[32];
  std::snprintf(value, sizeof value, "%.4f", measured.value);
  auto out = cat("step ", measured.step, ": ", measured.name, " ", value);
  if (measured.lowest) return out + ", the lowest so far";
  std::snprintf(value, sizeof value, "%.4f", figures.lowest());
  return out + cat("; the lowest is ", value, ", of step ", figures.lowest_step());
}

}  // namespace sdg::run
