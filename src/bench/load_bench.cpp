#include <ATen/ATen.h>
#include <sys/resource.h>

#include <chrono>

#include "sdg/bench/bench.h"
#include "sdg/checkpoint/checkpoint.h"

namespace sdg::bench {
namespace {

double seconds_of(const auto& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int64_t peak_memory() {
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace

LoadReport bench_load(const std::filesystem::path& checkpoint) {
  const at::NoGradGuard no_grad;
  LoadReport report;
  report.file_bytes = static_cast<int64_t>(std::filesystem::file_size(checkpoint));
  checkpoint::Trained trained;
  report.load_seconds = seconds_of([&] { trained = checkpoint::load_trained(checkpoint, at::kCPU); });
  const auto& config = trained.info.config;
  report.forward_seconds = seconds_of([&] {
    const auto x = at::zeros({1, config.data.channels, config.data.size, config.data.size});
    trained.network.model->forward(x, at::zeros({1}), network::unconditional_for(config));
  });
  report.peak_bytes = peak_memory();
  return report;
}

}  // namespace sdg::bench
