#include <gtest/gtest.h>

#include "sdg/metrics/manifold.h"
#include "sdg/metrics/neighbours.h"
#include "support/fixture.h"

namespace sdg::metrics {

TEST(ManifoldParity, ValuesAreThoseOfPrdcAndOfKynkaanniemi) {
  test::for_each_fixture("prdc", [](test::Fixture& f) {
    for (const std::string name : f.config.at("cases")) {
      const Tensor real = f.in(name + ".real"), fake = f.in(name + ".fake");
      for (const int64_t k : {3, 5}) {
        const auto key = name + ".k" + std::to_string(k);
        const auto open = manifold(real, fake, k, Surface::kOut), closed = manifold(real, fake, k, Surface::kIn);
        f.compare(key, at::tensor({open.precision, open.recall, open.density, open.coverage}, at::kDouble));
        f.compare(key + ".kynkaanniemi",
                  at::tensor({closed.precision, closed.recall}, at::kDouble).to(at::kFloat).to(at::kDouble));
        f.compare(key + ".radii_real", nearest_others(real, k).distances.select(1, k - 1));
        f.compare(key + ".radii_fake", nearest_others(fake, k).distances.select(1, k - 1));
      }
    }
    // How real each image is (Kynkäänniemi et al., section 5), which nothing here gives.
    f.expect_all_compared([](const std::string& output) { return output.ends_with(".realism"); });
  });
}

}  // namespace sdg::metrics
