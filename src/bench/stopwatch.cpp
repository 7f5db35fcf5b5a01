#include "bench/stopwatch.h"

#include <algorithm>
#include <chrono>

#include "sdg/core/device.h"
#include "sdg/core/rng.h"

namespace sdg::bench {

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<double> interleaved_medians(const std::vector<std::function<void()>>& work, int64_t rounds,
                                        const at::Device& device, const Progress& progress) {
  std::vector<std::vector<double>> times(work.size());
  for (int64_t round = -1; round < rounds; ++round) {
    for (size_t i = 0; i < work.size(); ++i) {
      const double time = milliseconds([&] {
        work[i]();
        synchronize(device);
      });
      if (round >= 0) times[i].push_back(time);
    }
    if (progress) progress(round + 2, rounds + 1);
  }
  std::vector<double> medians;
  medians.reserve(times.size());
  for (auto& each : times) medians.push_back(median(std::move(each)));
  return medians;
}

data::Batch random_batch(const recipe::RunConfig& config, int64_t step) {
  data::Batch batch;
  batch.sample = rng::consecutive(step * config.train.batch, config.train.batch);
  batch.index = rng::consecutive(0, config.train.batch);
  batch.x =
      rng::normal({0, rng::Purpose::kTest, 0}, batch.sample, {config.data.channels, config.data.size, config.data.size})
          .clamp_(-1, 1);
  return batch;
}

}  // namespace sdg::bench
