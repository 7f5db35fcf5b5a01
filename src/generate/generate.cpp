#include "sdg/generate/generate.h"

#include <algorithm>
#include <exception>
#include <optional>

#include "generate/drawing.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/parallel.h"
#include "sdg/image/image.h"

namespace sdg::generate {
namespace {

// The step after which image `index` is no longer finite, in words: its group is walked again, looking at each.
std::string step_of(const Drawing& drawing, const RowRange& images, int64_t index) {
  int64_t found = -1;
  try {
    drawing.draw_group(images, [&](int64_t step, const Tensor& x) {
      if (found < 0 && !is_finite(x[index - images.begin])) found = step;
    });
  } catch (const Error&) {  // said already
  }
  return found < 0 ? std::string() : cat(" from step ", found + 1, " on");
}

// x [n, ...], of which the first is image `first`.
void check_drawn(const Drawing& drawing, const Tensor& x, int64_t first, const std::vector<RowRange>& groups) {
  if (is_finite(x)) return;
  for (int64_t i = 0; i < x.size(0); ++i) {
    if (is_finite(x[i])) continue;
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const RowRange& g) { return first + i < g.end; });
    throw NotFinite(cat("image ", first + i, " is not finite (", to_text(drawing.request.sample), ")",
                        step_of(drawing, *group, first + i),
                        ": the network or these settings let it grow without bound"));
  }
}

}  // namespace

std::vector<double> walk_times(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                               const at::Device& device, const Request& request) {
  check(config, network, prior, request);
  return Drawing{config, network, prior, device, request}.find_grid();
}

bool draws_unconditionally(const Request& request) {
  return request.unconditional || sample::is_unconditional(request.sample);
}

bool names_condition(const Request& request) {
  return request.cluster >= 0 || !request.mixture.empty() || request.map.defined() || request.rows.defined();
}

namespace {

Reducer& ranks_of(const Request& request) {
  return request.ranks ? *request.ranks : Reducer::local();
}

// This rank's of these groups, and by them all.
Group draw_groups(const Drawing& drawing, const std::vector<RowRange>& groups, Reducer& ranks) {
  const auto own = own_rows(static_cast<int64_t>(groups.size()), ranks);
  std::vector<Group> drawn(static_cast<size_t>(own.size()));
  const auto one = [&](int64_t i) {
    drawn[static_cast<size_t>(i)] = drawing.draw_group(groups[static_cast<size_t>(own.begin + i)]);
  };
  if (drawing.device.is_cpu()) {
    worker_pool().run(own.size(), one);
  } else {
    for (int64_t i = 0; i < own.size(); ++i) one(i);
  }
  std::vector<Tensor> x, clusters;
  for (const auto& each : drawn) {
    x.push_back(each.x);
    clusters.push_back(each.clusters);
  }
  if (drawn.empty()) {  // nothing, of the right shape
    x.push_back(drawing.draw_noise({0}).slice(0, 0, 0));
    clusters.push_back(drawing.draw_clusters({0}).slice(0, 0, 0));
  }
  return {ranks.all_gather(at::cat(x)), ranks.all_gather(at::cat(clusters))};
}

// What was drawn of these images in these groups.
Generated generated(const Drawing& drawing, const Group& drawn, const RowRange& images,
                    const std::vector<RowRange>& groups) {
  const auto& request = drawing.request;
  Generated out;
  const int64_t first = groups.front().begin;
  const auto wanted = drawn.x.slice(0, images.begin - first, images.end - first);
  check_drawn(drawing, wanted, images.begin, groups);
  if (request.latents) out.latents = wanted.to(at::kCPU);
  out.images = request.to_images ? request.to_images(wanted) : image::to_uint8(wanted).cpu();
  out.clusters = drawn.clusters.slice(0, images.begin - first, images.end - first);
  return out;
}

void draw(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
          const at::Device& device, const Request& request, const std::function<void(const Generated&)>& take,
          const Progress& progress) {
  check(config, network, prior, request);
  check_precision(request.sample.precision, device, "sample.precision");
  auto drawn_from = network;  // a handle
  drawn_from.precision = request.sample.precision;
  Drawing drawing{config, drawn_from, prior, device, request};
  drawing.grid = drawing.find_grid();
  std::optional<RecordedAnswers> recorded;
  if (request.sample.graph == Graph::kCuda)
    drawing.recorded = &recorded.emplace(recordings_for(device, "sample.graph"));
  drawing.effort = request.effort.get();
  auto& ranks = ranks_of(request);
  const int64_t begin = request.first, end = request.first + request.sample.count;
  const int64_t group = drawing.group(), origin = device.is_cpu() ? begin / group * group : begin;
  const int64_t most = std::min(request.sample.batch, end - origin + group);
  const auto piece = static_cast<size_t>(std::max<int64_t>(1, most / group));  // of one rank
  const auto at_once = static_cast<int64_t>(piece) * ranks.ranks();
  for (int64_t start = origin; start < end; start += at_once * group) {
    const auto now = groups_of(std::max(begin, start), std::min(end, start + at_once * group), group,
                               /*whole=*/device.is_cpu());
    const auto count = now.size();
    const auto drawn = draw_groups(drawing, now, ranks);
    std::exception_ptr failure;
    try {
      if (take) {
        const c10::InferenceMode inference;
        for (size_t own = 0; own < count; own += piece) {
          const RowRange wanted{std::max(begin, now[own].begin),
                                std::min(end, now[std::min(own + piece, count) - 1].end)};
          take(generated(drawing, drawn, wanted, now));
        }
      }
    } catch (...) {
      failure = std::current_exception();
    }
    // Who takes may have had enough: then nobody goes on.
    const bool ends = ranks.max(failure ? 1 : 0) > 0;
    if (failure) std::rethrow_exception(failure);
    if (ends) return;
    if (progress) progress(std::min(end, now.back().end) - begin, request.sample.count);
  }
}

// {first, count}, of rank 0.
Tensor announce(const Request& request, int64_t count) {
  auto& ranks = ranks_of(request);
  ranks.first_alone([] {});
  return ranks.broadcast(at::tensor({request.first, count}, at::kLong));
}

}  // namespace

void generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
              const at::Device& device, const Request& request, const std::function<void(const Generated&)>& take,
              const Progress& progress) {
  if (ranks_of(request).ranks() > 1) announce(request, request.sample.count);
  draw(config, network, prior, device, request, take, progress);
}

bool help(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
          const at::Device& device, Request request) {
  const auto wanted = announce(request, 0);
  request.first = wanted[0].item<int64_t>();
  request.sample.count = wanted[1].item<int64_t>();
  if (request.sample.count == 0) return false;
  draw(config, network, prior, device, request, {}, {});
  return true;
}

void dismiss(const Request& request) {
  if (ranks_of(request).ranks() > 1) announce(request, 0);
}

Generated generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const at::Device& device, const Request& request, const Progress& progress) {
  std::vector<Tensor> images, clusters, latents;
  generate(
      config, network, prior, device, request,
      [&](const Generated& piece) {
        images.push_back(piece.images);
        clusters.push_back(piece.clusters);
        if (request.latents) latents.push_back(piece.latents);
      },
      progress);
  return {request.latents ? at::cat(latents) : Tensor(), at::cat(images), at::cat(clusters)};
}

Tensor trace(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
             const at::Device& device, const Request& request) {
  check(config, network, prior, request);
  Drawing drawing{config, network, prior, device, request};
  const c10::InferenceMode inference;
  drawing.grid = drawing.find_grid();
  const std::vector<int64_t> samples{request.first};
  std::vector<Tensor> seen;
  drawing.watch = [&](const Tensor& x_t, double t, const sample::Answer& answer) {
    seen.push_back(sample::Views(answer, x_t, t, config.flow.sigma_min).data()[0]);
  };
  drawing.walk(drawing.draw_noise(samples), drawing.draw_clusters(samples), samples, {});
  return at::stack(seen);
}

}  // namespace sdg::generate
