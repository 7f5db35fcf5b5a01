#include "sdg/train/pictures.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/io/chart.h"
#include "sdg/io/image.h"
#include "sdg/train/generate.h"

namespace sdg::train {
namespace {
constexpr int64_t kSheetSeed = 20231208;
}

int64_t picture_scale(int64_t size) {
  return std::max<int64_t>(1, 64 / size);
}

Tensor sample_sheet(const RunConfig& config, const Network& network, const Tensor& prior, const at::Device& device,
                    int64_t count) {
  GenerateOptions options;
  options.count = count;
  options.seed = kSheetSeed;
  options.steps = config.sample.steps;
  options.guidance = config.sample.guidance;
  options.guidance_begin = config.sample.guidance_begin;
  options.guidance_end = config.sample.guidance_end;
  options.solver = config.sample.solver;
  const auto drawn = generate(config, network, prior, device, options);
  const auto columns = static_cast<int64_t>(std::lround(std::ceil(std::sqrt(static_cast<double>(count)))));
  return io::image_grid(drawn.images, columns, 2, picture_scale(config.data.size));
}

Tensor cluster_sheet(const ClusterReport& report, const data::Dataset& dataset, int64_t clusters, int64_t rows,
                     int64_t columns) {
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(clusters));
  const auto* assigned = report.assignments.const_data_ptr<int64_t>();
  for (size_t i = 0; i < report.indices.size(); ++i)
    members[static_cast<size_t>(assigned[i])].push_back(report.indices[i]);
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  members.resize(static_cast<size_t>(std::min(rows, clusters)));

  const auto blank = at::full_like(dataset.image(0), 255);
  std::vector<Tensor> cells;
  for (const auto& row : members) {
    for (int64_t column = 0; column < columns; ++column) {
      const bool filled = column < static_cast<int64_t>(row.size());
      cells.push_back(filled ? dataset.image(row[static_cast<size_t>(column)]) : blank);
    }
  }
  return io::image_grid(at::stack(cells), columns, 2, std::max<int64_t>(1, picture_scale(blank.size(2)) / 2));
}

Tensor overlay_sheet(const Tensor& maps, const std::vector<int64_t>& indices, const data::Dataset& dataset) {
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(maps.size(1)))));
  SDG_CHECK(side * side == maps.size(1), "overlay: expected a square map, got ", maps.size(1), " patches");
  const int64_t clusters = maps.max().item<int64_t>() + 1;
  auto palette = at::empty({clusters, 3}, at::kFloat);
  for (int64_t k = 0; k < clusters; ++k) {
    const auto colour = io::distinct_colour(k);
    for (int64_t c = 0; c < 3; ++c) palette[k][c] = static_cast<int64_t>(colour[static_cast<size_t>(c)]);
  }
  std::vector<Tensor> cells;
  for (int64_t i = 0; i < maps.size(0); ++i) {
    const auto image = dataset.image(indices[static_cast<size_t>(i)]).expand({3, -1, -1});  // [3, S, S]
    const int64_t patch = image.size(2) / side;
    const auto colours = palette.index_select(0, maps[i]).t().reshape({3, side, side});
    const auto large = colours.repeat_interleave(patch, 1).repeat_interleave(patch, 2);
    cells.push_back(image);
    cells.push_back((0.35 * image.to(at::kFloat) + 0.65 * large).to(at::kByte));
  }
  const auto columns = 2 * std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(maps.size(0)) / 2)));
  return io::image_grid(at::stack(cells), columns, 2, picture_scale(dataset.image_size()));
}

}  // namespace sdg::train
