#include "sdg/evaluate/pictures.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/generate/generate.h"
#include "sdg/image/image.h"
#include "sdg/report/chart.h"

namespace sdg::evaluate {
namespace {
constexpr int64_t kSheetSeed = 20231208;
}

int64_t picture_scale(int64_t size) {
  return std::max<int64_t>(1, 64 / size);
}

Tensor sample_sheet(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                    const at::Device& device, int64_t count, const latents::ToImages& to_images) {
  generate::Request request{.sample = config.sample};
  request.sample.count = count;
  request.sample.seed = kSheetSeed;
  request.to_images = to_images;
  Tensor images;
  try {
    images = generate::generate(config, network, prior, device, request).images;
  } catch (const generate::NotFinite& error) {  // a picture is not worth a run
    log::warning(cat("the picture of samples stays black: ", error.what()));
    images = at::zeros({count, 1, config.data.size, config.data.size}, at::kByte);
  }
  const auto columns = static_cast<int64_t>(std::lround(std::ceil(std::sqrt(static_cast<double>(count)))));
  return image::image_grid(images, columns, 2, picture_scale(images.size(3)));
}

Tensor cluster_sheet(const ClusterReport& report, const data::Dataset& dataset, int64_t clusters, int64_t rows,
                     int64_t columns, const latents::ToImages& to_images) {
  const auto length = [](const std::vector<int64_t>& row) { return static_cast<int64_t>(row.size()); };
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(clusters));
  const auto* assigned = report.assignments.const_data_ptr<int64_t>();
  for (size_t i = 0; i < report.indices.size(); ++i)
    members[static_cast<size_t>(assigned[i])].push_back(report.indices[i]);
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  members.resize(static_cast<size_t>(std::min(rows, clusters)));

  std::vector<int64_t> shown;
  for (const auto& row : members) shown.insert(shown.end(), row.begin(), row.begin() + std::min(columns, length(row)));
  const auto pictures = to_images ? to_images(dataset.values(shown)) : dataset.images(shown);
  const auto blank = at::full_like(pictures[0], 255);
  std::vector<Tensor> cells;
  for (int64_t next = 0; const auto& row : members) {
    for (int64_t column = 0; column < columns; ++column)
      cells.push_back(column < length(row) ? pictures[next++] : blank);
  }
  return image::image_grid(at::stack(cells), columns, 2, std::max<int64_t>(1, picture_scale(blank.size(2)) / 2));
}

Tensor overlay_sheet(const Tensor& maps, const std::vector<int64_t>& indices, const data::Dataset& dataset,
                     const latents::ToImages& to_images) {
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(maps.size(1)))));
  SDG_CHECK(side * side == maps.size(1), "overlay: expected a square map, got ", maps.size(1), " patches");
  const int64_t clusters = maps.max().item<int64_t>() + 1;
  auto palette = at::empty({clusters, 3}, at::kFloat);
  for (int64_t k = 0; k < clusters; ++k) {
    const auto colour = report::distinct_colour(k);
    for (int64_t c = 0; c < 3; ++c) palette[k][c] = static_cast<int64_t>(colour[static_cast<size_t>(c)]);
  }
  const std::vector<int64_t> shown(indices.begin(), indices.begin() + maps.size(0));
  const auto pictures = to_images ? to_images(dataset.values(shown)) : dataset.images(shown);
  std::vector<Tensor> cells;
  for (int64_t i = 0; i < maps.size(0); ++i) {
    const auto image = pictures[i].expand({3, -1, -1});  // [3, S, S]
    const int64_t patch = image.size(2) / side;
    const auto colours = palette.index_select(0, maps[i]).t().reshape({3, side, side});
    const auto large = colours.repeat_interleave(patch, 1).repeat_interleave(patch, 2);
    cells.push_back(image);
    cells.push_back((0.35 * image.to(at::kFloat) + 0.65 * large).to(at::kByte));
  }
  const auto columns = 2 * std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(maps.size(0)) / 2)));
  return image::image_grid(at::stack(cells), columns, 2, picture_scale(pictures.size(3)));
}

}  // namespace sdg::evaluate
