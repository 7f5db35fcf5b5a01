#include "sdg/checkpoint/average_snapshots.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "sdg/average/mixture.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"

namespace sdg::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFormat = "sdg-averages-2";  // over 1: with a checksum
constexpr std::array kNames{"narrow", "wide"};     // learn/power_averages.h
constexpr double kLargestHalf = 65504;
constexpr int64_t kFewest = 2;  // snapshots besides the checkpoint

std::vector<fs::path> snapshots_in(const RunFolder& folder) {
  std::vector<fs::path> out;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder.averages(), missing))
    if (RunFolder::numbered_step(entry.path().filename().string())) out.push_back(entry.path());
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return *RunFolder::numbered_step(a.filename().string()) < *RunFolder::numbered_step(b.filename().string());
  });
  return out;
}

void remove_where(const RunFolder& folder, const std::function<bool(int64_t step)>& which) {
  for (const auto& path : snapshots_in(folder)) {
    std::error_code ignored;  // a file that cannot be removed costs space, not the run
    if (which(*RunFolder::numbered_step(path.filename().string()))) fs::remove(path, ignored);
  }
}

// One average that was kept: where its tensors are, and its profile.
struct Kept {
  const tensors::TensorFile* file;
  std::string prefix, where;
  average::Profile profile;
};

// Averages of the wanted names in float64, then back in the type of `like`.
Tensor mixed(const std::vector<Kept>& kept, const std::vector<double>& weights, const std::string& name,
             const Tensor& like) {
  auto sum = at::zeros(like.sizes(), at::kDouble);
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto& tensor = kept[i].file->at(kept[i].prefix + name, kept[i].where);
    SDG_CHECK(tensor.sizes() == like.sizes(), kept[i].where, ": ", kept[i].prefix, name,
              " is of another network than the checkpoint's");
    sum.add_(tensor.to(at::kDouble), weights[i]);
  }
  return sum.to(like.scalar_type());
}

double error_of(const std::vector<average::Profile>& profiles, double width, int64_t step) {
  return average::mix(profiles, {average::gamma_of(width), static_cast<double>(step)}).error;
}

// "0.031 to 0.25": the widths about the kept ones that come near enough.
std::string widths_text(const std::vector<average::Profile>& profiles, double narrow, double wide, int64_t step) {
  const auto reach = [&](double from, double factor, double end) {
    double width = from;
    while (width * factor > 0.001 && (factor < 1 || width * factor < end) &&
           error_of(profiles, width * factor, step) <= kLargestProfileError)
      width *= factor;
    return std::round(1000 * width) / 1000;
  };
  return cat(reach(narrow, 0.95, 0), " to ", reach(wide, 1.05, average::kWidest));
}

}  // namespace

bool snapshot_due(const recipe::AverageOptions& options, int64_t step) {
  return options.track && step % options.spacing(step) == 0;
}

void save_snapshot(const RunFolder& folder, const std::map<std::string, Tensor>& averages, int64_t step,
                   const recipe::AverageOptions& options) {
  std::error_code failed;
  fs::create_directories(folder.averages(), failed);
  SDG_CHECK(!failed, folder.averages().string(), ": cannot make the folder: ", failed.message());
  bool half = options.stored == recipe::Stored::kFloat16;
  for (const auto& [name, tensor] : averages) {
    if (!half || tensor.numel() == 0 || tensor.abs().max().item<double>() <= kLargestHalf) continue;
    log::warning(cat("step ", step, ": ", name, " has numbers beyond float16, so this snapshot is float32"));
    half = false;
  }
  tensors::TensorFile file;
  for (const auto& [name, tensor] : averages) file.tensors[name] = half ? tensor.to(at::kHalf) : tensor;
  file.metadata = {{"format", kFormat},
                   {"step", std::to_string(step)},
                   {"width.narrow", config::to_text(options.narrow)},
                   {"width.wide", config::to_text(options.wide)}};
  tensors::write_tensors(folder.averages() / RunFolder::numbered_name(step), file);
  remove_where(folder, [&](int64_t each) { return each <= step && each % options.spacing(step) != 0; });
}

void remove_snapshots_beyond(const RunFolder& folder, int64_t step) {
  remove_where(folder, [&](int64_t each) { return each > step; });
}

std::vector<int64_t> snapshot_steps(const fs::path& checkpoint) {
  const auto step = parse_info(tensors::read_tensor_header(checkpoint), checkpoint.string()).step;
  std::vector<int64_t> out;
  for (const auto& path : snapshots_in(RunFolder::of_checkpoint(checkpoint))) {
    const auto each = *RunFolder::numbered_step(path.filename().string());
    if (each < step) out.push_back(each);
  }
  return out;
}

MadeAverage make_average(const fs::path& checkpoint, double width, int64_t step) {
  SDG_CHECK_USAGE(width > 0 && width <= average::kWidest, "width: expected above 0 and at most ", average::kWidest,
                  ", which counts all steps alike, got ", width);
  const auto where = checkpoint.string();
  MadeAverage out;
  out.file = tensors::read_tensors(checkpoint);
  const auto info = parse_info(out.file, where);
  const auto& options = info.config.average;
  SDG_CHECK_USAGE(options.track && out.file.tensors.lower_bound("average.") != out.file.tensors.end() &&
                      out.file.tensors.lower_bound("average.")->first.starts_with("average."),
                  where, ": no averages were kept while training (average.track)");
  out.step = step > 0 ? step : info.step;
  SDG_CHECK_USAGE(out.step <= info.step, where, ": is at step ", info.step, ", before step ", step);
  const auto folder = RunFolder::of_checkpoint(checkpoint);
  std::vector<std::pair<fs::path, tensors::TensorFile>> files;
  for (const auto& path : snapshots_in(folder)) {
    if (*RunFolder::numbered_step(path.filename().string()) > out.step - (out.step == info.step ? 1 : 0)) continue;
    files.emplace_back(path, tensors::read_tensors(path));
  }
  out.snapshots = static_cast<int64_t>(files.size());
  SDG_CHECK_USAGE(out.snapshots >= kFewest, folder.averages().string(), ": expected at least ", kFewest,
                  " snapshots up to step ", out.step, ", found ", out.snapshots, "; average.every is ", options.every);
  const std::array gammas{average::gamma_of(options.narrow), average::gamma_of(options.wide)};
  std::vector<Kept> kept;
  for (size_t i = 0; i < kNames.size(); ++i) {
    for (const auto& [path, file] : files)
      kept.push_back({&file,
                      cat(kNames[i], "."),
                      path.string(),
                      {gammas[i], static_cast<double>(*RunFolder::numbered_step(path.filename().string()))}});
    if (out.step == info.step)
      kept.push_back({&out.file, cat("average.", kNames[i], "."), where, {gammas[i], static_cast<double>(info.step)}});
  }
  std::vector<average::Profile> profiles;
  for (const auto& each : kept) profiles.push_back(each.profile);
  const auto mixture = average::mix(profiles, {average::gamma_of(width), static_cast<double>(out.step)});
  out.error = mixture.error;
  SDG_CHECK_USAGE(mixture.error <= kLargestProfileError, "width ", width, ": no mixture of ", out.snapshots,
                  " snapshots comes near enough (its profile is off by ", std::round(100 * mixture.error),
                  " %); of this run widths from ", widths_text(profiles, options.narrow, options.wide, out.step),
                  " can be made");

  tensors::TensorFile made;
  for (const auto& [name, tensor] : out.file.tensors) {
    if (name.starts_with("optimizer.") || name.starts_with("model.") || name.starts_with("average.")) continue;
    const auto own = name.starts_with("ema.") ? name.substr(4) : "";
    const bool tracked = !own.empty() && files.front().second.tensors.contains(cat(kNames.front(), ".", own));
    made.tensors[name] = tracked ? mixed(kept, mixture.weights, own, tensor) : tensor;
  }
  made.metadata = out.file.metadata;
  made.metadata.erase("sdg_checksum");
  made.metadata["average_width"] = config::to_text(width);
  made.metadata["average_step"] = std::to_string(out.step);
  made.metadata["average_error"] = config::to_text(mixture.error);
  out.file = std::move(made);
  return out;
}

}  // namespace sdg::checkpoint
