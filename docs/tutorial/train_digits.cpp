// Trains a small network on the shipped digits. Its own clusters become its conditions: no label is read.
//   train_digits FOLDER [STEPS]     the same command again goes on where it stopped
#include <ATen/Parallel.h>
#include <sdg/sdg.h>

#include <cstdio>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: train_digits FOLDER [STEPS]\n");
    return 2;
  }
  // The library spreads images over its own threads; kernels with threads of their own would get in their way.
  at::set_num_threads(1);

  // Options as in `sdg train --config digits.yaml --set train.steps=300`; docs/config.md lists all of them.
  std::vector<std::string> overrides;
  if (argc > 2) overrides.push_back(std::string("train.steps=") + argv[2]);
  const auto config = sdg::recipe::load_config("digits.yaml", overrides);

  // The library prints nothing: an observer is told what happens. Any callback may be left empty.
  sdg::run::Observer observer;
  observer.on_start = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  observer.on_event = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  observer.on_step = [](const sdg::run::StepReport& report) {
    if (report.step % 50 != 0) return;
    std::printf("step %lld of %lld: loss %.3f, %.0f images/s%s\n", static_cast<long long>(report.step),
                static_cast<long long>(report.steps), report.smooth_loss, report.images_per_second,
                report.result.conditioned ? ", guiding" : "");
  };
  // observer.stop = [] { return …; };  asked after each step: true writes a checkpoint and ends the run

  // Everything goes into the folder: configuration, figures, pictures, checkpoints.
  const auto outcome = sdg::run::train(config, sdg::checkpoint::RunFolder(argv[1]), observer);
  std::printf("%s at step %lld: %s\n", outcome.finished ? "finished" : "stopped", static_cast<long long>(outcome.step),
              outcome.checkpoint.c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "train_digits: %s\n", error.what());  // says where, what was expected and what came
  return 1;
}
