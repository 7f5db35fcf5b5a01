#include "sdg/regions/lost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;
using regions::Box;
using ::testing::HasSubstr;

namespace {

Tensor random_patches(int64_t patches, int64_t width, uint64_t seed) {
  return rng::normal({seed, rng::Purpose::kTest, 0}, rng::consecutive(0, patches), {width});
}

struct Twin {
  int64_t seed;
  std::vector<bool> mask;
  Box box;
};

// The paper's definition, number by number.
Twin slow_lost(const Tensor& patches, int64_t rows, int64_t columns, int64_t k) {
  const auto f = patches.to(at::kDouble).contiguous();
  const auto* data = f.const_data_ptr<double>();
  const auto count = static_cast<int>(rows * columns), width = static_cast<int>(f.size(1));
  const auto dot = [&](int a, int b) {
    double sum = 0;
    for (int d = 0; d < width; ++d) sum += data[a * width + d] * data[b * width + d];
    return sum;
  };
  std::vector<int> degree(static_cast<size_t>(count)), order(static_cast<size_t>(count));
  for (int p = 0; p < count; ++p)
    for (int q = 0; q < count; ++q) degree[static_cast<size_t>(p)] += dot(p, q) > 0 ? 1 : 0;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return degree[static_cast<size_t>(a)] < degree[static_cast<size_t>(b)]; });
  const int seed = order.front();
  std::vector<int> grown;
  for (int i = 0; i < std::min<int>(static_cast<int>(k), count); ++i)
    if (dot(order[static_cast<size_t>(i)], seed) > 0) grown.push_back(order[static_cast<size_t>(i)]);
  std::vector<bool> wanted(static_cast<size_t>(count));
  for (int p = 0; p < count; ++p) {
    double sum = 0;
    for (const int s : grown) sum += dot(p, s);
    wanted[static_cast<size_t>(p)] = sum > 0;
  }
  Twin out{seed, std::vector<bool>(static_cast<size_t>(count)), {}};
  out.mask[static_cast<size_t>(seed)] = true;
  for (bool grew = true; grew;) {
    grew = false;
    for (int p = 0; p < count; ++p) {
      if (out.mask[static_cast<size_t>(p)] || !wanted[static_cast<size_t>(p)]) continue;
      for (int q = 0; q < count; ++q) {
        const auto apart = std::abs(p / columns - q / columns) + std::abs(p % columns - q % columns);
        if (apart == 1 && out.mask[static_cast<size_t>(q)]) out.mask[static_cast<size_t>(p)] = grew = true;
      }
    }
  }
  out.box = {1e9, 1e9, -1, -1};
  for (int p = 0; p < count; ++p) {
    if (!out.mask[static_cast<size_t>(p)]) continue;
    const auto x = static_cast<double>(p % columns), y = static_cast<double>(p / columns);
    out.box = {std::min(out.box.left, x), std::min(out.box.top, y), std::max(out.box.right, x + 1),
               std::max(out.box.bottom, y + 1)};
  }
  return out;
}

}  // namespace

TEST(Lost, IsTheSlowTwinOnRandomPatches) {
  int64_t of_several = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const int64_t rows = 4 + static_cast<int64_t>(seed % 4), columns = 9 - static_cast<int64_t>(seed % 3);
    for (const int64_t k : {1, 7, 100}) {
      const auto patches = random_patches(rows * columns, 3, seed);
      const auto object = regions::find_object(patches, rows, columns, {k});
      const auto twin = slow_lost(patches, rows, columns, k);
      EXPECT_EQ(object.seed, twin.seed);
      EXPECT_EQ(object.box, twin.box);
      ASSERT_EQ(object.mask.sizes(), (Shape{rows, columns}));
      for (int64_t p = 0; p < rows * columns; ++p)
        EXPECT_EQ(object.mask.view(-1)[p].item<bool>(), twin.mask[static_cast<size_t>(p)])
            << seed << " " << k << " " << p;
      of_several += object.mask.sum().item<int64_t>() > 1 ? 1 : 0;
    }
  }
  EXPECT_GT(of_several, 30) << "hardly any object had two patches: tests little";
}

TEST(Lost, FindsWhatDiffersFromItsSurroundings) {
  auto patches = random_patches(8 * 10, 4, 1).mul_(0.05).view({8, 10, 4});
  patches.select(2, 0).add_(1);
  auto object = patches.slice(0, 2, 5).slice(1, 6, 8);
  object.select(2, 0).sub_(1.2);
  object.select(2, 1).add_(1);
  const auto found = regions::find_object(patches.flatten(0, 1), 8, 10, {8});
  EXPECT_EQ(found.box, (Box{6, 2, 8, 5}));
  EXPECT_EQ(found.mask.sum().item<int64_t>(), 6);
}

TEST(Lost, RefusesVectorsThatSayNothing) {
  const auto message = [](const Tensor& patches) {
    try {
      regions::find_object(patches, 2, 3);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  auto patches = random_patches(6, 4, 0);
  patches[4].zero_();
  EXPECT_THAT(message(patches), HasSubstr("patch 4 is all zeros"));
  patches[4].fill_(std::nan(""));
  EXPECT_THAT(message(patches), HasSubstr("patch 4 holds numbers that are not finite"));
  EXPECT_THAT(message(patches.slice(0, 0, 5)), HasSubstr("patches"));
}
