#include <gtest/gtest.h>

#include "sdg/vision/inception_blocks.h"
#include "sdg/vision/load_weights.h"
#include "support/fixture.h"

namespace sdg::vision {
namespace {
template <class Block>
Tensor run(test::Fixture& f, Block block) {
  torch::NoGradGuard no_grad;
  load_weights(*block, f.weights(), f.name);
  block->eval();
  return block->forward(f.in("x"));
}

Tensor run_block(test::Fixture& f) {
  const std::string kind = f.config.at("kind");
  const int64_t in = f.config.at("in_ch");
  const auto w = f.config.at("widths").get<std::map<std::string, int64_t>>();
  if (kind == "A") {
    return run(f, InceptionA(in, InceptionAWidths{w.at("b1"), w.at("b5_1"), w.at("b5_2"), w.at("d1"), w.at("d2"),
                                                  w.at("pool")}));
  }
  if (kind == "B") return run(f, InceptionB(in, InceptionBWidths{w.at("b3"), w.at("d1"), w.at("d2")}));
  if (kind == "C") return run(f, InceptionC(in, InceptionCWidths{w.at("c7"), w.at("out")}));
  if (kind == "D") return run(f, InceptionD(in, InceptionDWidths{w.at("a"), w.at("b"), w.at("c")}));
  const auto pool = kind == "E_1" ? InceptionPool::kAverage : InceptionPool::kMaximum;
  return run(f, InceptionE(in, pool, InceptionEWidths{w.at("b1"), w.at("b3"), w.at("d1"), w.at("pool")}));
}
}  // namespace

TEST(InceptionBlocksParity, EveryBlockIsPytorchFids) {
  test::for_each_fixture("fid_block", [](test::Fixture& f) {
    f.compare("y", run_block(f));
    f.expect_all_compared();
  });
}
}  // namespace sdg::vision
