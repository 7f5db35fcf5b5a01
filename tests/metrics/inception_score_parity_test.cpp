#include <gtest/gtest.h>

#include <cmath>

#include "sdg/metrics/inception_score.h"
#include "support/fixture.h"

namespace sdg::metrics {

TEST(InceptionScoreParity, ScoresAreThoseOfTorchmetrics) {
  test::for_each_fixture("inception_score", [](test::Fixture& f) {
    const auto scalar = [](double x) { return at::full({1}, x, at::kDouble); };
    for (const auto& [name, splits] : f.config.at("cases").items()) {
      const Tensor logits = f.in(name + ".logits");
      f.compare(name + ".probs", logits.softmax(1));
      f.compare(name + ".score_one_split", scalar(inception_score({logits}).mean));
      const auto pieces = logits.index_select(0, f.in(name + ".perm")).chunk(splits.get<int64_t>());
      const auto score = inception_score(pieces);
      f.compare(name + ".mean", scalar(score.mean));
      const auto n = static_cast<double>(pieces.size());  // torchmetrics takes the sample's deviation
      if (n > 1) f.compare(name + ".std", scalar(score.deviation * std::sqrt(n / (n - 1))));
    }
    f.expect_all_compared();
  });
}

}  // namespace sdg::metrics
