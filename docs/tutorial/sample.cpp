// Draws images from a trained run, first as the program does, then step by step with a solver over the velocity.
//   sample RUN PICTURE.png [GUIDANCE]
#include <ATen/Parallel.h>
#include <sdg/sdg.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: sample RUN PICTURE.png [GUIDANCE]\n");
    return 2;
  }
  at::set_num_threads(1);
  const auto device = sdg::parse_device("auto");

  // A checkpoint holds all that drawing needs: configuration, averaged weights, the prior of the clusters.
  const auto trained = sdg::checkpoint::load_trained(sdg::checkpoint::RunFolder(argv[1]).last(), device);

  // Image i is a function of (seed, i) and these options, whatever the batch and the number of threads.
  sdg::generate::Request request{.sample = trained.info.config.sample};
  request.sample.count = 64;
  request.sample.guidance = argc > 3 ? std::atof(argv[3]) : 2.0;  // v_u + w (v_c - v_u)
  const auto drawn = sdg::generate::generate(trained.info.config, trained.network, trained.prior, device, request);
  sdg::image::write_png(argv[2], sdg::image::image_grid(drawn.images, 8, 2, 4));  // uint8 [64, C, S, S], 8 a row
  std::printf("wrote %s; the first image is of cluster %lld\n", argv[2],
              static_cast<long long>(drawn.clusters.flatten()[0].item<int64_t>()));

  // The same by hand, without conditions: x_0 is noise, dx/dt the network's velocity, x_1 an image in [-1, 1].
  const at::NoGradGuard no_grad;
  const auto& data = trained.info.config.data;
  const sdg::rng::Stream stream{0, sdg::rng::Purpose::kSampleNoise, 0};
  const auto noise = sdg::rng::normal(stream, sdg::rng::consecutive(0, 4), {data.channels, data.size, data.size});
  const auto velocity = [&](const at::Tensor& x_t, double t) {
    const auto time = at::full({x_t.size(0)}, t, x_t.options());
    return trained.network.velocity(x_t, time, sdg::model::Condition::null());
  };
  const auto x_1 = sdg::sample::run({.solver = sdg::sample::Solver::kHeun}, sdg::sample::Denoiser(velocity),
                                    noise.to(device), sdg::sample::uniform_grid(10));
  std::printf("by hand, Heun in 10 steps: mean %.3f, deviation %.3f\n", x_1.mean().item<double>(),
              x_1.std().item<double>());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "sample: %s\n", error.what());
  return 1;
}
