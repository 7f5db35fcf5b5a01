#include <gtest/gtest.h>

#include "sdg/vision/inception.h"
#include "support/fixture.h"
#include "vision/formula_inception.h"

namespace sdg::vision {
TEST(InceptionParity, WholeNetworkWithFormulaWeightsIsPytorchFidsAndTorchFidelitys) {
  test::for_each_fixture("fid_full", [](test::Fixture& f) {
    torch::NoGradGuard no_grad;
    FidInception net;
    net->load_state(test::formula_inception_weights(*net, f.config.at("salt")), f.name);
    for (const std::string image : {"img", "big", "img", "big"}) {  // then with batch norms folded
      const Tensor x = f.in(image).permute({0, 3, 1, 2});           // [1, 3, H, W]
      const InceptionFeatures own = net(inception_input_pytorch_fid(x));
      f.compare(image + ".64", own.f64);
      f.compare(image + ".192", own.f192);
      f.compare(image + ".768", own.f768);
      f.compare(image + ".2048", own.f2048);
      const InceptionFeatures tf = net(inception_input_tf1(x));
      f.compare(image + ".torch_fidelity.64", tf.f64);
      f.compare(image + ".torch_fidelity.192", tf.f192);
      f.compare(image + ".torch_fidelity.768", tf.f768);
      f.compare(image + ".torch_fidelity.2048", tf.f2048);
      f.compare(image + ".torch_fidelity.logits_unbiased", tf.logits_unbiased);
      f.compare(image + ".torch_fidelity.logits", tf.logits);
      f.compare(image + ".sfid_sgfm", tf.spatial);
      if (image == "big") net->fold();
    }
    f.expect_all_compared();
  });
}
}  // namespace sdg::vision
