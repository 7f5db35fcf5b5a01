#include "sdg/evaluate/metric_kinds.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "support/temporary_folder.h"

namespace sdg::evaluate {
namespace {

class Named : public vision::FeatureExtractor {
 public:
  Named(std::string metric, bool spatial) : metric_(std::move(metric)), spatial_(spatial) {}
  std::string name() const override { return "named"; }
  std::string metric_name() const override { return metric_; }
  std::string input() const override { return "none"; }
  std::string weights_digest() const override { return "none"; }
  int64_t width(vision::Layer layer) const override { return layer == vision::Layer::kPooled || spatial_ ? 2 : 0; }
  Tensor layers(const Tensor&, const std::vector<vision::Layer>&) override { return {}; }

 private:
  std::string metric_;
  bool spatial_;
};

}  // namespace

TEST(MetricKinds, OnlyInceptionsValuesBearItsNames) {
  const Named inception("FID", true), tf1("FID-tf1", true), dino("FD-DINOv2", false);
  EXPECT_EQ(metric_title("FID", inception), "FID");
  EXPECT_EQ(metric_title("KID", inception), "KID");
  EXPECT_EQ(metric_title("sFID", tf1), "sFID-tf1");
  EXPECT_EQ(metric_title("FID", dino), "FD-DINOv2");
  EXPECT_EQ(metric_title("KID", dino), "KD-DINOv2");
  EXPECT_EQ(metric_title("sFID-block", dino), "sFD-block-DINOv2");
  EXPECT_EQ(metric_title("precision", dino), "precision-DINOv2");
  EXPECT_EQ(metric_title("FID-infinity", dino), "FD-DINOv2-infinity");
}

TEST(MetricKinds, AllIsWhatTheNetworkHasAndUnknownOnesAreRefused) {
  const Named inception("FID", true), dino("FD-DINOv2", false);
  EXPECT_EQ(parse_metrics("all", inception).size(), names_of(Metric{}).size());
  EXPECT_EQ(parse_metrics("all", dino).size(), names_of(Metric{}).size() - 3) << "no spatial features, no logits";
  EXPECT_EQ(parse_metrics("kid,prdc,kid", dino),
            (std::vector<Metric>{Metric::kKernel, Metric::kManifold, Metric::kDensity}));
  EXPECT_EQ(test::message_of<UsageError>([&] { parse_metrics("sfid", dino); }),
            "--metrics: sfid needs a layer that named, or its file of weights, does not have");
  EXPECT_NE(test::message_of<UsageError>([&] { parse_metrics("fid,", dino); }).find("got \"\""), std::string::npos);
  EXPECT_NE(test::message_of<UsageError>([&] { parse_metrics("lpips", dino); }).find("sfid-block, is, kid"),
            std::string::npos);
}

}  // namespace sdg::evaluate
