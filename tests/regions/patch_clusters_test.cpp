#include "sdg/regions/patch_clusters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/regions/overlay.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

// 4 x 4 patches an image, of three kinds in places that depend on the image.
int64_t kind_of(int64_t image, int64_t patch) {
  return (image + patch / 4 + patch % 4 * 2) % 3;
}
Tensor three_kinds(const std::vector<int64_t>& images) {
  auto out = rng::normal({3, rng::Purpose::kTest, 0}, images, {16, 5}).mul_(0.1);
  for (size_t i = 0; i < images.size(); ++i)
    for (int64_t p = 0; p < 16; ++p) out[static_cast<int64_t>(i)][p][kind_of(images[i], p)] += 2;
  return out;
}

regions::PatchClusterOptions into(int64_t clusters) {
  regions::PatchClusterOptions options;
  options.kmeans.clusters = clusters;
  return options;
}

}  // namespace

TEST(PatchClusters, FindTheKindsOfPatchesInEveryImage) {
  for (const int64_t sample : {200000, 200}) {
    auto options = into(3);
    options.fit_patches = sample;
    const auto found = regions::cluster_patches(three_kinds, 130, options);
    ASSERT_EQ(found.maps.sizes(), (Shape{130, 4, 4}));
    EXPECT_EQ(found.centroids.sizes(), (Shape{3, 5}));
    std::vector<int64_t> name(3, -1);  // of each kind
    for (int64_t i = 0; i < 130; ++i)
      for (int64_t p = 0; p < 16; ++p) {
        const auto id = found.maps[i].view(-1)[p].item<int64_t>();
        auto& known = name[static_cast<size_t>(kind_of(i, p))];
        if (known < 0) known = id;
        ASSERT_EQ(known, id) << i << " " << p;
      }
    EXPECT_NE(name[0], name[1]);
    EXPECT_NE(name[1], name[2]);
  }
}

TEST(PatchClusters, RefuseWhatHasNoDirectionAndMoreThanABytesClusters) {
  const auto message = [](const regions::PatchFn& patches, int64_t clusters) {
    try {
      regions::cluster_patches(patches, 130, into(clusters));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto with = [](double value) {
    return [value](const std::vector<int64_t>& images) {
      auto out = three_kinds(images);
      for (size_t i = 0; i < images.size(); ++i)
        if (images[i] == 70) out[static_cast<int64_t>(i)][9].fill_(value);
      return out;
    };
  };
  EXPECT_THAT(message(with(0), 3), HasSubstr("patch 9 of image 70 is all zeros"));
  EXPECT_THAT(message(with(std::nan("")), 3), HasSubstr("patch 9 of image 70 holds numbers that are not finite"));
  EXPECT_THAT(message(three_kinds, 255), HasSubstr("2 to 254"));
}

TEST(PatchClusters, AreEnlargedPatchByPatch) {
  const auto map = at::tensor({1, 2, 3, 4}, at::kByte).view({1, 2, 2});
  EXPECT_TRUE(at::equal(regions::enlarge(map, 6), map.repeat_interleave(3, 1).repeat_interleave(3, 2)));
  EXPECT_TRUE(at::equal(regions::enlarge(map, 2), map));
  const auto odd = regions::enlarge(map, 3)[0];
  EXPECT_EQ(odd[0][0].item<int64_t>(), 1);
  EXPECT_EQ(odd[2][2].item<int64_t>(), 4);
}

TEST(Overlay, ShowsWhatWasFound) {
  const auto image = at::full({1, 4, 4}, 100, at::kByte);
  const auto box = regions::with_box(image, {1, 1, 3, 4}, 3);
  ASSERT_EQ(box.sizes(), (Shape{3, 12, 12}));
  EXPECT_EQ(box[0][3][3].item<int64_t>(), 255) << "a corner";
  EXPECT_EQ(box[0][11][8].item<int64_t>(), 255) << "the opposite one";
  EXPECT_EQ(box[0][6][6].item<int64_t>(), 100) << "inside";
  auto map = at::full({4, 4}, 255, at::kByte);
  map[0][0] = 5;
  const auto laid = regions::with_map(image, map, 2);
  EXPECT_TRUE(laid.slice(1, 2).eq(100).all().item<bool>());
  EXPECT_FALSE(laid.slice(1, 0, 2).slice(2, 0, 2).eq(100).all().item<bool>());
}
