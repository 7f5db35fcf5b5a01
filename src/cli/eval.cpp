#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/joined_ranks.h"
#include "cli/measured.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/core/device.h"
#include "sdg/core/text.h"
#include "sdg/core/version.h"
#include "sdg/evaluate/measure.h"
#include "sdg/evaluate/protocol.h"
#include "sdg/evaluate/score.h"
#include "sdg/io/atomic_file.h"

namespace sdg::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments : MeasuredArguments {
  std::string metrics = "fid", save;
  evaluate::ScoreOptions score;
  int64_t keep = evaluate::Wanted().keep;
  bool json = false;
  RankArguments ranks;
};

constexpr const char* kExamples =
    "  sdg eval --metrics all                            the newest run against its training data, everything\n"
    "  sdg eval --images a/ --reference b/ --extractor inception --metrics fid,kid,prdc --save a.json\n"
    "  sdg eval --images a/ --reference VIRTUAL_imagenet256.npz --extractor inception-tf1 --metrics fid,sfid,is\n";

evaluate::Side measured_side(const Arguments& arguments, const std::optional<checkpoint::Trained>& run,
                             vision::FeatureExtractor& extractor, const std::vector<evaluate::Metric>& metrics,
                             const at::Device& device, std::optional<sample::SampleOptions>& drawn, Reducer& ranks) {
  auto wanted = evaluate::wanted_of(metrics, true);
  wanted.keep = arguments.keep;
  evaluate::Side out;
  if (!arguments.images.empty()) {
    ProgressBar bar("images", "img/s");
    out = evaluate::gather(evaluate::path_feed(arguments.images, {.size = arguments.reference.size}, bar.callback()),
                           extractor, wanted, ranks);
    out.text = arguments.images;
    return out;
  }
  auto request = request_of(arguments.sampling, *run, run->info.config.eval.count, device);
  request.ranks = &ranks;
  drawn = request.sample;
  ProgressBar bar("sample", "img/s");
  out = evaluate::gather(evaluate::sample_feed(*run, request, device, bar.callback()), extractor, wanted, ranks);
  out.text = run->path;
  return out;
}

evaluate::Protocol protocol_of(const Arguments& arguments, const std::vector<evaluate::Metric>& metrics,
                               const vision::FeatureExtractor& extractor, const evaluate::Side& measured,
                               const evaluate::Side& reference, const std::optional<sample::SampleOptions>& drawn,
                               const std::optional<checkpoint::Trained>& run) {
  const auto& pooled = measured.pooled;
  auto out = evaluate::images_protocol(extractor, pooled.count > 0 ? std::to_string(pooled.count) : "unknown",
                                       pooled.size.empty() ? "unknown" : pooled.size, reference);
  for (const auto metric : metrics) {
    if (metric == evaluate::Metric::kKernel)
      out.emplace_back("kid",
                       cat(arguments.score.subsets, " subsets of ",
                           std::min({arguments.score.subset_size, measured.rows.size(0),
                                     reference.rows.defined() ? reference.rows.size(0) : measured.rows.size(0)})));
    if (metric == evaluate::Metric::kScore) out.emplace_back("is", cat(arguments.score.splits, " splits"));
    if (metric == evaluate::Metric::kLimit) out.emplace_back("infinity", cat(arguments.score.points, " points"));
    if (metric == evaluate::Metric::kInterval)
      out.emplace_back("interval", cat(arguments.score.resamples, " resamples, level ", arguments.score.level));
  }
  for (const auto* side : {&measured, &reference})
    if (side->rows.defined() && side->pooled.count > side->rows.size(0))
      out.emplace_back(side == &measured ? "rows" : "reference.rows", std::to_string(side->rows.size(0)));
  if (!drawn) {
    out.emplace_back("drawn", "elsewhere");
    return out;
  }
  evaluate::add_drawn(out, *drawn, run->info.config.condition.source);
  out.emplace_back("sample.weights", config::name(arguments.sampling.weights));
  if (!arguments.sampling.cluster.empty()) out.emplace_back("sample.cluster", arguments.sampling.cluster);
  if (!arguments.sampling.map_from.empty()) out.emplace_back("sample.map_from", arguments.sampling.map_from);
  return out;
}

ordered_json to_json(const std::vector<evaluate::Score>& scores, const evaluate::Protocol& protocol,
                     const evaluate::Side& measured, const evaluate::Side& reference,
                     const std::optional<sample::SampleOptions>& drawn, const std::optional<checkpoint::Trained>& run) {
  ordered_json metrics = ordered_json::object(), fields = ordered_json::object();
  for (const auto& score : scores) {
    metrics[score.name] = {{"value", score.value}};
    for (const auto& [name, value] : score.details) metrics[score.name][name] = value;
  }
  for (const auto& [field, value] : protocol) fields[field] = value;
  ordered_json out{{"metrics", metrics},
                   {"protocol_id", evaluate::protocol_id(protocol)},
                   {"protocol", fields},
                   {"measured", {{"from", measured.text}, {"fingerprint", measured.fingerprint}}},
                   {"program", cat("sdg ", version())}};
  if (!reference.text.empty()) out["reference"] = {{"from", reference.text}, {"fingerprint", reference.fingerprint}};
  if (drawn) {
    out["measured"]["step"] = run->info.step;
    out["measured"]["seed"] = drawn->seed;
  }
  return out;
}

void print(const std::vector<evaluate::Score>& scores, const evaluate::Protocol& protocol,
           const evaluate::Side& measured, const evaluate::Side& reference) {
  for (const auto& score : scores) {
    std::vector<std::string> details;
    for (const auto& [name, value] : score.details) details.push_back(cat(name, " ", value));
    std::printf("%s %.4f%s\n", score.name.c_str(), score.value,
                details.empty() ? "" : cat("  (", join(details), ")").c_str());
  }
  std::vector<std::string> drawn;
  for (const auto& [field, value] : protocol)
    if (field.starts_with("sample.")) drawn.push_back(cat(field.substr(7), " ", value));
  const auto count = measured.pooled.count;
  std::printf("protocol %s: %s images%s%s\n", evaluate::protocol_id(protocol).c_str(),
              count > 0 ? std::to_string(count).c_str() : "an unknown number of",
              reference.text.empty() ? "" : cat(" against ", reference.text).c_str(),
              drawn.empty() ? "" : cat("; ", join(drawn)).c_str());
}

int execute(const Arguments& arguments, const CLI::App& app) {
  check_measured(arguments, app);
  auto& ranks = join_ranks(arguments.ranks, arguments.sampling.device);
  const auto device = parse_device(arguments.sampling.device);
  const auto run = run_of(arguments, app, device);
  const auto* info = run ? &run->info : nullptr;
  const auto extractor = extractor_of(arguments.reference, info ? &info->config.eval : nullptr, device);
  const auto metrics = evaluate::parse_metrics(arguments.metrics, *extractor);
  const bool referred = std::any_of(metrics.begin(), metrics.end(),
                                    [](evaluate::Metric metric) { return evaluate::needs_of(metric).reference; });
  // What stored statistics cannot give is said before anything is drawn.
  std::optional<evaluate::Side> stored;
  if (!arguments.images.empty() && evaluate::holds_statistics(arguments.images))
    stored = evaluate::stored_side(arguments.images, *extractor, metrics, true, arguments.keep);
  evaluate::Side reference;
  if (referred) reference = reference_side(arguments.reference, info, *extractor, metrics, arguments.keep, ranks);
  std::optional<sample::SampleOptions> drawn;
  const auto measured = stored ? *stored : measured_side(arguments, run, *extractor, metrics, device, drawn, ranks);
  if (ranks.rank() > 0) {  // has drawn and looked at images for the first
    leave_ranks();
    return 0;
  }
  if (referred)
    check_sizes(measured.pooled, measured.text, measured.stored, {reference.pooled, reference.text, reference.stored});
  const auto scores = evaluate::score(metrics, measured, reference, *extractor, arguments.score);
  const auto protocol = protocol_of(arguments, metrics, *extractor, measured, reference, drawn, run);
  const auto result = to_json(scores, protocol, measured, reference, drawn, run);
  if (!arguments.save.empty())
    io::write_atomically(arguments.save, [&](std::ostream& out) { out << io::json_text(result, 2) << "\n"; });
  if (arguments.json)
    std::printf("%s\n", io::json_text(result).c_str());
  else
    print(scores, protocol, measured, reference);
  leave_ranks();
  return 0;
}

config::Field at_least(int64_t least, const std::string& help) {
  return own<int64_t>({.help = help, .min = static_cast<double>(least)});
}

}  // namespace

Command eval_command() {
  return {"eval", "Metrics of generated against real images in one pass, with the protocol they were made by.",
          kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_measured(app, *arguments);
            app.add_option("--metrics", arguments->metrics,
                           "with commas between: fid, sfid (ADM's), sfid-block (sgfm's), is, kid, pr (precision and "
                           "recall, k 3), dc (density and coverage, k 5), prdc (both), fid-infinity, fid-interval, "
                           "memorised (against training images), all; named by the extractor, of which only Inception "
                           "gives an FID; default: fid")
                ->type_name("NAMES");
            declare(app, "--subsets", arguments->score.subsets, at_least(1, "subsets of the kernel distance"),
                    "Default: 100.");
            declare(app, "--subset-size", arguments->score.subset_size,
                    at_least(2, "images of each side in a subset, fewer where there are fewer"), "Default: 1000.");
            declare(app, "--splits", arguments->score.splits, at_least(1, "splits of the Inception Score"),
                    "Default: 10.");
            declare(app, "--resamples", arguments->score.resamples, at_least(2, "draws of the bootstrap interval"),
                    "Default: 100.");
            declare(app, "--keep", arguments->keep,
                    at_least(4,
                             "images of each side whose features are kept for metrics that compare images one by "
                             "one, a random sample of more"),
                    "Default: 50000.");
            app.add_option("--save", arguments->save, "also write the values and their protocol, for sdg compare")
                ->type_name("FILE.json");
            declare_ranks(app, arguments->ranks);
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments, &app] { return execute(*arguments, app); };
          }};
}

}  // namespace sdg::cli
