#include "sdg/train/pictures.h"

#include <algorithm>
#include <cmath>

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

}  // namespace sdg::train
