#include <gtest/gtest.h>

#include "sdg/metrics/kernel_distance.h"
#include "support/fixture.h"

namespace sdg::metrics {

TEST(KernelDistanceParity, SubsetsAndWholeSetsAreThoseOfTorchmetrics) {
  test::for_each_fixture("kid", [](test::Fixture& f) {
    for (const std::string name : f.config.at("cases")) {
      const Tensor real = f.in(name + ".real"), fake = f.in(name + ".fake");
      const Tensor real_rows = f.in(name + ".idx_real"), fake_rows = f.in(name + ".idx_fake");
      std::vector<double> distances;
      for (int64_t k = 0; k < real_rows.size(0); ++k)
        distances.push_back(squared_mmd(real.index_select(0, real_rows[k]), fake.index_select(0, fake_rows[k])));
      const Tensor all = at::tensor(distances, at::kDouble);
      f.compare(name + ".mmd64", all);
      f.compare(name + ".mmd", all);
      f.compare(name + ".mean", all.mean().view({1}));
      f.compare(name + ".std", all.std(/*unbiased=*/false).view({1}));
      const auto rows = std::min(real.size(0), fake.size(0));
      f.compare(name + ".mmd_full",
                at::full({1}, squared_mmd(real.slice(0, 0, rows), fake.slice(0, 0, rows)), at::kDouble));
    }
  });
}

}  // namespace sdg::metrics
