#include <gtest/gtest.h>

#include "sdg/metrics/clustering.h"
#include "support/fixture.h"

namespace sdg::metrics {
namespace {
double value_of(const ClusterAgreement& r, const std::string& name) {
  const std::map<std::string, double> values = {{"nmi", r.nmi},
                                                {"ami", r.ami},
                                                {"ari", r.ari},
                                                {"acc", r.accuracy},
                                                {"nmi_geometric", r.nmi_geometric},
                                                {"nmi_min", r.nmi_min},
                                                {"nmi_max", r.nmi_max},
                                                {"homogeneity", r.homogeneity},
                                                {"completeness", r.completeness},
                                                {"v_measure", r.v_measure},
                                                {"mutual_info", r.mutual_info},
                                                {"expected_mutual_info", r.expected_mutual_info},
                                                {"fowlkes_mallows", r.fowlkes_mallows},
                                                {"rand_score", r.rand_score}};
  return values.at(name);
}
}  // namespace

TEST(ClusteringParity, EveryScoreIsScikitLearns) {
  test::for_each_fixture("cluster_metrics", [](test::Fixture& f) {
    for (const std::string name : f.config.at("cases")) {
      const ClusterAgreement report = cluster_agreement(f.in(name + ".true"), f.in(name + ".pred"));
      std::vector<double> values;
      for (const std::string score : f.config.at("names")) values.push_back(value_of(report, score));
      f.compare(name, at::tensor(values, at::kDouble));
    }
    f.expect_all_compared();
  });
}
}  // namespace sdg::metrics
