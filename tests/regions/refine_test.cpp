#include "sdg/regions/refine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {

Tensor bytes(const Shape& shape, int64_t below, uint64_t seed) {
  const auto values = rng::normal({seed, rng::Purpose::kTest, 0}, {0}, shape)[0];
  return values.mul(10 * 97).abs().remainder(static_cast<double>(below)).to(at::kByte);
}

// The linear system of a window by elimination: (matrix + epsilon) x = right.
std::vector<double> solved(std::vector<std::vector<double>> rows, std::vector<double> right) {
  const auto n = right.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i)
      if (std::abs(rows[i][k]) > std::abs(rows[pivot][k])) pivot = i;
    std::swap(rows[k], rows[pivot]);
    std::swap(right[k], right[pivot]);
    for (size_t i = k + 1; i < n; ++i) {
      const double f = rows[i][k] / rows[k][k];
      for (size_t j = k; j < n; ++j) rows[i][j] -= f * rows[k][j];
      right[i] -= f * right[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) right[k] -= rows[k][j] * right[j];
    right[k] /= rows[k][k];
  }
  return right;
}

// The same by windows, one pixel after the other: least squares in each, the mean of what the windows say of a pixel.
Tensor slowly(const Tensor& map, const Tensor& picture, const regions::RefineOptions& options) {
  const auto height = map.size(0), width = map.size(1), channels = picture.size(0);
  const auto colour = [&](int64_t c, int64_t y, int64_t x) { return picture[c][y][x].item<double>() / 255; };
  const auto window = [&](int64_t at, int64_t size) {
    return std::pair(std::max<int64_t>(0, at - options.radius), std::min(size, at + options.radius + 1));
  };
  std::map<int, std::vector<double>> answers;
  for (int64_t i = 0; i < map.numel(); ++i) answers[map.view(-1)[i].item<int>()];
  for (auto& [name, answer] : answers) {
    std::vector<std::vector<double>> lines;  // of each window: slopes, then what is added
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const auto [top, bottom] = window(y, height);
        const auto [left, right] = window(x, width);
        const auto count = static_cast<double>((bottom - top) * (right - left));
        std::vector<double> mean(static_cast<size_t>(channels)), with_p(mean);
        std::vector<std::vector<double>> spread(mean.size(), mean);
        double mean_p = 0;
        const auto each = [&](const auto& take) {
          for (auto v = top; v < bottom; ++v)
            for (auto u = left; u < right; ++u) take(v, u, map[v][u].item<int>() == name ? 1.0 : 0.0);
        };
        each([&](int64_t v, int64_t u, double p) {
          mean_p += p / count;
          for (size_t c = 0; c < mean.size(); ++c) mean[c] += colour(static_cast<int64_t>(c), v, u) / count;
        });
        each([&](int64_t v, int64_t u, double p) {
          for (size_t c = 0; c < mean.size(); ++c) {
            const double off = colour(static_cast<int64_t>(c), v, u) - mean[c];
            with_p[c] += off * (p - mean_p) / count;
            for (size_t d = 0; d < mean.size(); ++d)
              spread[c][d] += off * (colour(static_cast<int64_t>(d), v, u) - mean[d]) / count;
          }
        });
        for (size_t c = 0; c < mean.size(); ++c) spread[c][c] += options.epsilon;
        auto line = solved(spread, with_p);
        double added = mean_p;
        for (size_t c = 0; c < mean.size(); ++c) added -= line[c] * mean[c];
        line.push_back(added);
        lines.push_back(line);
      }
    }
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const auto [top, bottom] = window(y, height);
        const auto [left, right] = window(x, width);
        double sum = 0;
        for (auto v = top; v < bottom; ++v) {
          for (auto u = left; u < right; ++u) {
            const auto& line = lines[static_cast<size_t>(v * width + u)];
            sum += line.back();
            for (int64_t c = 0; c < channels; ++c) sum += line[static_cast<size_t>(c)] * colour(c, y, x);
          }
        }
        answer.push_back(sum / static_cast<double>((bottom - top) * (right - left)));
      }
    }
  }
  auto out = at::empty_like(map);
  for (int64_t i = 0; i < map.numel(); ++i) {
    double best = -1e9;
    for (const auto& [name, answer] : answers) {
      if (answer[static_cast<size_t>(i)] <= best + 1e-12) continue;
      best = answer[static_cast<size_t>(i)];
      out.view(-1)[i].fill_(name);
    }
  }
  return out;
}

}  // namespace

TEST(Refine, IsTheGuidedFilterOfEachClassByItsSlowTwin) {
  for (const int64_t channels : {1, 3}) {
    const auto picture = bytes({channels, 9, 11}, 256, 1);
    const auto map = bytes({9, 11}, 4, 2);
    for (const auto& options : {regions::RefineOptions{1, 1e-3}, regions::RefineOptions{2, 0.1},
                                regions::RefineOptions{20, 1e-2}}) {  // windows wider than the picture
      const auto fine = regions::refine(map, picture, options);
      EXPECT_TRUE(at::equal(fine, slowly(map, picture, options))) << channels << " " << options.radius;
      EXPECT_FALSE(at::equal(fine, map));
    }
  }
}

TEST(Refine, BringsABorderOfPatchesToTheEdgeInThePicture) {
  // A disc on a ground, and a map that knows it by patches of 4 x 4 only.
  auto picture = at::full({3, 32, 32}, 60, at::kByte);
  auto truth = at::zeros({32, 32}, at::kByte);
  for (int64_t y = 0; y < 32; ++y)
    for (int64_t x = 0; x < 32; ++x)
      if (std::hypot(y - 14.5, x - 17.5) < 9) truth[y][x].fill_(5);
  picture[0].masked_fill_(truth.eq(5), 200);
  auto rough = at::zeros({32, 32}, at::kByte);
  for (int64_t y = 0; y < 32; y += 4)
    for (int64_t x = 0; x < 32; x += 4) {
      const bool most = truth.slice(0, y, y + 4).slice(1, x, x + 4).eq(5).sum().item<int64_t>() > 8;
      rough.slice(0, y, y + 4).slice(1, x, x + 4).fill_(most ? 5 : 0);
    }
  ASSERT_GT(rough.ne(truth).sum().item<int64_t>(), 30);
  EXPECT_EQ(regions::refine(rough, picture, {.radius = 4, .epsilon = 1e-4}).ne(truth).sum().item<int64_t>(), 0);
}

TEST(Refine, ChangesNothingWhereAClassIsAloneOrThePictureIsFlat) {
  const auto picture = bytes({3, 8, 8}, 256, 3);
  const auto one = at::full({8, 8}, 255, at::kByte);
  EXPECT_TRUE(at::equal(regions::refine(one, picture, {}), one));
  // Without colours only a mean of means is left, in which a straight border stays.
  auto halves = at::zeros({8, 8}, at::kByte);
  halves.narrow(1, 4, 4).fill_(1);
  EXPECT_TRUE(at::equal(regions::refine(halves, at::full({3, 8, 8}, 7, at::kByte), {.radius = 2}), halves));
}

TEST(Refine, RefusesWhatItCannotTake) {
  const auto map = at::zeros({4, 4}, at::kByte), picture = at::zeros({3, 4, 4}, at::kByte);
  EXPECT_THROW(regions::refine(map, at::zeros({3, 4, 5}, at::kByte), {}), Error);
  EXPECT_THROW(regions::refine(map.to(at::kLong), picture, {}), Error);
  EXPECT_THROW(regions::refine(map, picture, {.radius = 0}), UsageError);
  EXPECT_THROW(regions::refine(map, picture, {.radius = 1, .epsilon = 0}), UsageError);
  EXPECT_THROW(regions::refine(map, picture, {.radius = 1, .epsilon = NAN}), UsageError);
}
