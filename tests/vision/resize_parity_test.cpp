#include <gtest/gtest.h>

#include "sdg/vision/resize.h"
#include "support/fixture.h"

namespace sdg::vision {
TEST(ResizeParity, FrontEndsArePytorchFidsAndTorchFidelitys) {
  test::for_each_fixture("fid_resize", [](test::Fixture& f) {
    const auto size = f.config.at("size").get<std::vector<int64_t>>();
    for (const std::string& output : f.outputs()) {
      const auto dot = output.find('.');
      const Tensor x = f.in(output.substr(0, dot)).permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);  // [1, C, H, W]
      const std::string tool = output.substr(dot + 1);
      if (tool == "pytorch_fid") f.compare(output, resize_bilinear(x / 255, size[0], size[1]));
      if (tool == "tf1") f.compare(output, resize_bilinear_tf1(x, size[0], size[1]));
    }
    f.expect_all_compared();
  });
}
}  // namespace sdg::vision
