// Formats of one's own: docs/extend/data_format.md.
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/data/fingerprint.h"
#include "sdg/data/loader.h"

using namespace sdg;

namespace {

class Gradients : public data::ImageSource {
 public:
  int64_t size() const override { return 256; }
  std::string name(int64_t index) const override { return cat("gradient ", index); }
  Tensor read(int64_t index) const override { return at::full({1, 8, 8}, index, at::kByte); }
};

class Ramps : public data::SampleSource {
 public:
  int64_t size() const override { return 100; }
  int64_t channels() const override { return 2; }
  int64_t side() const override { return 4; }
  std::vector<int64_t> read_rows(at::IntArrayRef indices, const Tensor& out, const data::Draws&) const override {
    for (size_t i = 0; i < indices.size(); ++i)
      out[static_cast<int64_t>(i)].fill_(static_cast<double>(indices[i]) / 100);
    return indices.vec();
  }
  int64_t read_pixels(int64_t, uint8_t*) const override { throw Error("ramps are no pixels"); }
};

}  // namespace

TEST(OwnSource, AContainerOfImagesIsThreeMethods) {
  data::OpenedData opened;
  opened.images = std::make_shared<Gradients>();
  data::DataOptions options;
  options.size = 4;
  const data::Dataset dataset(opened, options);
  data::Loader loader(dataset, {.batch = 16, .seed = 1}, 0);
  const auto batch = loader.next();
  for (int64_t i = 0; i < 16; ++i) {
    const auto grey = static_cast<float>(batch.index[static_cast<size_t>(i)]);
    EXPECT_TRUE(at::equal(batch.x[i], at::full({1, 4, 4}, grey / 127.5F - 1.0F)));
  }
  EXPECT_TRUE(data::fingerprint(opened).known());
}

TEST(OwnSource, AnotherKindOfRowNeedsNoBranch) {
  const data::Dataset dataset(std::make_shared<Ramps>());
  data::Loader loader(dataset, {.batch = 16, .seed = 1, .threads = 2}, 0);
  const auto batch = loader.next();
  EXPECT_EQ(batch.x.sizes(), at::IntArrayRef({16, 2, 4, 4}));
  for (int64_t i = 0; i < 16; ++i)
    EXPECT_FLOAT_EQ(batch.x[i][1][3][3].item<float>(), static_cast<float>(batch.index[static_cast<size_t>(i)]) / 100);
  EXPECT_EQ(dataset.shown(7), 7);
  EXPECT_THROW(dataset.image(0), Error);
}
