#include "cli/tune_axes.h"

#include <algorithm>
#include <cmath>

#include "cli/declared.h"
#include "sdg/average/profile.h"
#include "sdg/checkpoint/average_snapshots.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/sample/guidance.h"

namespace sdg::cli {
namespace {

// Rising, each once, with the run's own among them.
std::vector<double> with_own(std::vector<double> values, double own) {
  values.push_back(own);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// An axis of one number of the options.
TuneAxis number_axis(const std::string& name, const std::vector<double>& values, double own,
                     double sample::SampleOptions::* member) {
  TuneAxis out;
  out.search.name = name;
  out.search.places = with_own(values, own);
  for (const auto value : out.search.places) out.search.values.push_back(config::to_text(value));
  out.search.start = static_cast<size_t>(std::find(out.search.places.begin(), out.search.places.end(), own) -
                                         out.search.places.begin());
  out.search.rises_from = 0;
  out.apply = [places = out.search.places, member](size_t value, TunedDrawing& drawing) {
    drawing.sample.*member = places[value];
  };
  return out;
}

// `strongest` is what the network knows, where it is told the strength.
TuneAxis strength(const TuneAxisArguments& arguments, const sample::SampleOptions& own, double strongest) {
  std::vector<double> usual{1, 1.25, 1.5, 2, 3, 4};
  if (own.guide == sample::Guide::kInput) {
    std::erase_if(usual, [&](double value) { return value > strongest; });
    usual.push_back(strongest);
    SDG_CHECK_USAGE(arguments.guidance.empty() || std::ranges::max(arguments.guidance) <= strongest, "--guidance ",
                    std::ranges::max(arguments.guidance), ": guide input: this network knows guidance 1 to ",
                    strongest);
  }
  auto out = number_axis("guidance", arguments.guidance.empty() ? usual : arguments.guidance, own.guidance,
                         &sample::SampleOptions::guidance);
  out.search.first_ends = out.search.places.front() <= 1;  // below it images are less of their condition
  out.search.last_ends = own.guide == sample::Guide::kInput && out.search.places.back() >= strongest;
  return out;
}

// How far the inner head is led away from.
std::optional<TuneAxis> inner_strength(const TuneAxisArguments& arguments, const sample::SampleOptions& own,
                                       const checkpoint::Trained& trained) {
  if (!trained.network.model->has_inner()) {
    SDG_CHECK_USAGE(arguments.inner.empty(),
                    "--inner-guidance: this network has no inner head to lead away from (it was trained without "
                    "guided.inner)");
    return std::nullopt;
  }
  const std::vector<double> usual{1, 1.25, 1.5, 2};
  auto out = number_axis("inner_guidance", arguments.inner.empty() ? usual : arguments.inner, own.inner_guidance,
                         &sample::SampleOptions::inner_guidance);
  out.search.first_ends = out.search.places.front() <= 1;
  return out;
}

TuneAxis interval(const std::string& which, const TuneAxisArguments& arguments, const sample::SampleOptions& own) {
  const bool begin = which == "begin";
  const auto& asked = begin ? arguments.begin : arguments.end;
  const std::vector<double> usual = begin ? std::vector<double>{0, 0.2, 0.4} : std::vector<double>{0.6, 0.8, 1};
  auto out = number_axis(which, asked.empty() ? usual : asked, begin ? own.guidance_begin : own.guidance_end,
                         begin ? &sample::SampleOptions::guidance_begin : &sample::SampleOptions::guidance_end);
  out.search.first_ends = out.search.places.front() <= 0;
  out.search.last_ends = out.search.places.back() >= 1;
  return out;
}

// The run's own average, then those that can be made of what it kept.
std::optional<TuneAxis> widths(const TuneAxisArguments& arguments, const checkpoint::Trained& trained,
                               const std::function<void(const std::string&)>& note) {
  if (!trained.info.config.average.track) {
    SDG_CHECK_USAGE(arguments.widths.empty(), "--width: this run kept no averages (average.track)");
    return std::nullopt;
  }
  TuneAxis out;
  out.search = {.name = "width", .values = {"own"}, .places = {}, .rises_from = 1};
  std::vector<double> places{0};
  for (const double width : arguments.widths.empty() ? std::vector<double>{0.05, 0.1, 0.2} : arguments.widths) {
    try {
      checkpoint::make_average(trained.path, width);
    } catch (const UsageError& error) {
      if (!arguments.widths.empty()) throw;
      note(error.what());
      continue;
    }
    places.push_back(width);
    out.search.values.push_back(config::to_text(width));
  }
  out.apply = [places](size_t value, TunedDrawing& drawing) { drawing.width = places[value]; };
  return out;
}

// What guides the run (the null condition, unless its options say more), then the network as it was at an eighth, a
// quarter and a half of the training.
std::optional<TuneAxis> guides(const TuneAxisArguments& arguments, const checkpoint::Trained& trained) {
  if (!trained.info.config.average.track) {
    SDG_CHECK_USAGE(arguments.guides.empty(), "--guide-step: this run kept no averages (average.track)");
    return std::nullopt;
  }
  const auto all = checkpoint::snapshot_steps(trained.path);
  const auto nearest = [&](double wanted) {
    return *std::min_element(all.begin(), all.end(), [&](int64_t a, int64_t b) {
      return std::abs(static_cast<double>(a) - wanted) < std::abs(static_cast<double>(b) - wanted);
    });
  };
  std::vector<int64_t> steps{0};
  for (const auto step : arguments.guides) {
    SDG_CHECK_USAGE(std::find(all.begin(), all.end(), step) != all.end(), "--guide-step: no snapshot of step ", step,
                    " before step ", trained.info.step);
    steps.push_back(step);
  }
  for (const double share : {0.125, 0.25, 0.5}) {
    if (!arguments.guides.empty() || all.size() < 2) break;
    // Of one snapshot alone no average is made.
    const auto step = std::max(nearest(share * static_cast<double>(trained.info.step)), all[1]);
    if (std::find(steps.begin(), steps.end(), step) == steps.end()) steps.push_back(step);
  }
  if (steps.size() < 2) return std::nullopt;
  TuneAxis out;
  const auto own = trained.info.config.sample.guide;
  const auto first = own == sample::Guide::kNetwork ? sample::Guide::kNull : own;
  out.search = {.name = "guide", .values = {std::string(config::name(first))}, .places = {}, .whole = true};
  for (size_t i = 1; i < steps.size(); ++i) out.search.values.push_back(cat("step-", steps[i]));
  if (!trained.prior.defined()) {  // there is no condition to lead away from
    out.search.values.erase(out.search.values.begin());
    steps.erase(steps.begin());
  }
  out.apply = [steps](size_t value, TunedDrawing& drawing) { drawing.guide_step = steps[value]; };
  return out;
}

}  // namespace

void declare_tune_axes(CLI::App& app, TuneAxisArguments& arguments) {
  declare(app, "--guidance", arguments.guidance, declared("sample.guidance"),
          "Several with commas; default: 1,1.25,1.5,2,3,4 and the run's own.");
  declare(app, "--begin", arguments.begin, declared("sample.guidance_begin"), "Default: 0,0.2,0.4.");
  declare(app, "--end", arguments.end, declared("sample.guidance_end"), "Default: 0.6,0.8,1.");
  declare(app, "--inner-guidance", arguments.inner, declared("sample.inner_guidance"),
          "Default: 1,1.25,1.5,2 of networks with an inner head.");
  declare(app, "--width", arguments.widths,
          own<double>({.help = "widths of averages to draw with, of runs that kept some (average.track), beside the "
                               "run's own average",
                       .min = 0.001,
                       .max = average::kWidest}),
          "Default: those of 0.05,0.1,0.2 that can be made.");
  declare(app, "--guide-step", arguments.guides,
          own<int64_t>({.help = "snapshots that guide instead of the null condition (autoguidance), of runs that kept "
                                "some (average.track)",
                        .min = 1}),
          "Default: the snapshots nearest to an eighth, a quarter and a half of the training.");
}

std::vector<TuneAxis> tune_axes(const TuneAxisArguments& arguments, const checkpoint::Trained& trained,
                                const std::function<void(const std::string&)>& note) {
  auto own = trained.info.config.sample;
  const bool guided = trained.prior.defined();
  SDG_CHECK_USAGE(own.guidance_convention == sample::Convention::kW,
                  "sdg tune: speaks of guidance in terms of w, and "
                  "this run's sample.guidance_convention is ",
                  config::name(own.guidance_convention));
  auto of_guides = guides(arguments, trained);
  if (!guided) own.guidance = 1;
  std::vector<TuneAxis> out{strength(arguments, own, trained.info.config.guided.strongest()),
                            interval("begin", arguments, own), interval("end", arguments, own)};
  SDG_CHECK_USAGE(out[1].search.places.back() <= out[2].search.places.front(), "--begin ", out[1].search.values.back(),
                  " is after --end ", out[2].search.values.front());
  if (!guided && !of_guides) {
    SDG_CHECK_USAGE(arguments.guidance.empty() && arguments.begin.empty() && arguments.end.empty(),
                    "--guidance, --begin, --end: this run draws without conditions, so that there is nothing to guide "
                    "by");
    out.clear();
  }
  if (auto of_inner = inner_strength(arguments, own, trained)) out.push_back(*of_inner);
  if (auto of_widths = widths(arguments, trained, note)) out.push_back(*of_widths);
  if (of_guides) out.push_back(*of_guides);
  std::erase_if(out, [](const TuneAxis& axis) {  // a single guide is still needed to guide
    return axis.search.values.size() < 2 && axis.search.name != "guide";
  });
  SDG_CHECK_USAGE(
      !out.empty(), trained.path,
      ": draws without conditions, has no inner head (guided.inner) and kept no averages (average.track): there is "
      "nothing to tune");
  return out;
}

TunedDrawing drawing_of(const std::vector<TuneAxis>& axes, const study::SearchPoint& point,
                        const sample::SampleOptions& own) {
  TunedDrawing out{.sample = own};
  for (size_t i = 0; i < axes.size(); ++i) axes[i].apply(point[i], out);
  out.sample.guide = out.guide_step > 0 ? sample::Guide::kNetwork : own.guide;
  if (out.sample.guidance == 1) out.guide_step = 0;
  if (out.guide_step == 0 && out.sample.guide == sample::Guide::kNetwork) out.sample.guide = sample::Guide::kNull;
  return out;
}

study::SearchPoint same_drawing(const std::vector<TuneAxis>& axes, study::SearchPoint point,
                                const sample::SampleOptions& own) {
  if (drawing_of(axes, point, own).sample.guidance != 1) return point;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto& name = axes[i].search.name;
    if (name == "begin" || name == "end" || name == "guide") point[i] = axes[i].search.start;
  }
  return point;
}

}  // namespace sdg::cli
