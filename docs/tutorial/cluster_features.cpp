// Clusters features of your own in two ways: by k-means, and by prototypes whose assignments Sinkhorn-Knopp balances,
// which is how a network's features are clustered while it trains.
//   cluster_features                            1,500 made-up points around five centres
//   cluster_features FILE.safetensors CLUSTERS  its tensor "features" [N, F], and "labels" [N] if it has them
#include <ATen/Parallel.h>
#include <sdg/sdg.h>
#include <torch/optim/adam.h>

#include <cstdio>
#include <cstdlib>

namespace {

struct Rows {
  at::Tensor features, labels;  // [N, F]; [N] or undefined: only to compare with
};

// Every draw is a function of (seed, purpose, step, sample): nothing else is random.
at::Tensor noise(uint64_t step, const std::vector<int64_t>& samples, int64_t width) {
  return sdg::rng::normal({/*seed=*/7, sdg::rng::Purpose::kTest, step}, samples, {width});
}

Rows made_up() {
  const auto labels = at::arange(1500).remainder(5);
  const auto centres = 2 * noise(0, sdg::rng::consecutive(0, 5), 16);
  return {centres.index_select(0, labels) + noise(1, sdg::rng::consecutive(0, 1500), 16), labels};
}

Rows read(const char* path) {
  const auto file = sdg::tensors::read_tensors(path);
  const auto labels = file.tensors.find("labels");
  return {file.at("features", path).to(at::kFloat), labels == file.tensors.end() ? at::Tensor() : labels->second};
}

// A head learns to tell, from one noisy view of a row, the balanced cluster that another view of it has.
at::Tensor by_prototypes(const at::Tensor& features, int64_t clusters) {
  const auto width = features.size(1);
  sdg::cluster::PrototypeHead head(sdg::cluster::PrototypeHeadOptions{
      .feature_dim = width, .hidden = 64, .dim = 32, .clusters = clusters, .standardize = true});
  sdg::cluster::initialize(*head, /*seed=*/7);
  torch::optim::Adam optimizer(head->parameters(), 3e-3);
  const auto deviation = features.std(0);
  for (uint64_t step = 0; step < 300; ++step) {
    auto rows = sdg::rng::permutation({7, sdg::rng::Purpose::kOrder, step}, features.size(0));
    rows.resize(std::min<size_t>(rows.size(), 256));
    const auto x = features.index_select(0, at::tensor(rows));
    const auto view = [&](uint64_t which) { return x + 0.3 * deviation * noise(2 + 2 * step + which, rows, width); };
    head->normalize_prototypes();
    const auto balanced = sdg::cluster::sinkhorn(head->forward(view(0)).scores).assignments;  // [B, K], no gradient
    const auto loss = sdg::cluster::assignment_loss(head->forward(view(1)).scores, balanced, 0.1).mean();
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  const at::NoGradGuard no_grad;
  head->eval();
  return head->forward(features).scores.argmax(1);
}

}  // namespace

int main(int argc, char** argv) try {
  at::set_num_threads(1);
  const auto rows = argc > 1 ? read(argv[1]) : made_up();
  const int64_t clusters = argc > 2 ? std::atoll(argv[2]) : 5;

  // Columns at mean 0 and deviation 1, so that none outweighs the others in a distance.
  const auto standard = sdg::cluster::Standardizer::fit(rows.features).apply(rows.features);
  const auto kmeans = sdg::cluster::kmeans(standard, {.clusters = clusters, .seed = 7}).assignments;
  const auto prototypes = by_prototypes(rows.features, clusters);
  const auto report = [](const char* what, const at::Tensor& a, const at::Tensor& b) {
    const auto scores = sdg::metrics::cluster_scores(a, b);
    std::printf("%-24s NMI %.3f, ARI %.3f, accuracy %.3f\n", what, scores.nmi, scores.ari, scores.accuracy);
  };
  report("k-means and prototypes", kmeans, prototypes);
  if (!rows.labels.defined()) return 0;
  report("labels and k-means", rows.labels, kmeans);
  report("labels and prototypes", rows.labels, prototypes);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "cluster_features: %s\n", error.what());
  return 1;
}
