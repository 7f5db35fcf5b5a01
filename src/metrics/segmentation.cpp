#include "sdg/metrics/segmentation.h"

#include "sdg/core/error.h"
#include "sdg/metrics/hungarian.h"

namespace sdg::metrics {
namespace {

// class_of [K]: the class that each cluster stands for, -1 for none. Mean over the classes that occur.
double mean_iou(const Tensor& counts, const Tensor& unnamed, const std::vector<int64_t>& class_of,
                std::vector<double>* each) {
  const auto classes = counts.size(1);
  double total = 0;
  int64_t present = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const auto truth = counts.select(1, c).sum().item<int64_t>() + unnamed[c].item<int64_t>();
    int64_t inside = 0, predicted = 0;
    for (size_t k = 0; k < class_of.size(); ++k) {
      if (class_of[k] != c) continue;
      inside += counts[static_cast<int64_t>(k)][c].item<int64_t>();
      predicted += counts[static_cast<int64_t>(k)].sum().item<int64_t>();
    }
    const bool occurs = truth > 0;
    const double iou = occurs ? static_cast<double>(inside) / static_cast<double>(truth + predicted - inside) : -1;
    if (each) each->push_back(iou);
    if (!occurs) continue;
    total += iou;
    ++present;
  }
  return total / static_cast<double>(present);
}

double agreeing(const Tensor& counts, int64_t pixels, const std::vector<int64_t>& class_of) {
  int64_t inside = 0;
  for (size_t k = 0; k < class_of.size(); ++k) {
    if (class_of[k] >= 0) inside += counts[static_cast<int64_t>(k)][class_of[k]].item<int64_t>();
  }
  return static_cast<double>(inside) / static_cast<double>(pixels);
}

}  // namespace

SegmentationScorer::SegmentationScorer(int64_t clusters, int64_t classes, int64_t ignored)
    : ignored_(ignored), counts_(at::zeros({clusters, classes}, at::kLong)), unnamed_(at::zeros({classes}, at::kLong)) {
  SDG_CHECK(clusters >= 1 && classes >= 1, "segmentation: needs at least one cluster and one class, got ", clusters,
            " and ", classes);
}

void SegmentationScorer::add(const Tensor& predicted, const Tensor& truth) {
  SDG_CHECK(predicted.sizes() == truth.sizes(), "segmentation: clusters ", to_string(predicted.sizes()),
            " and classes ", to_string(truth.sizes()), " must have the same shape");
  const auto classes = truth.to(at::kCPU, at::kLong).flatten();
  const auto scored = classes.ne(ignored_).nonzero().squeeze(1);
  if (scored.numel() == 0) return;
  auto c = classes.index_select(0, scored), k = predicted.to(at::kCPU, at::kLong).flatten().index_select(0, scored);
  const auto in_range = [](const Tensor& values, int64_t end) {
    return values.min().item<int64_t>() >= 0 && values.max().item<int64_t>() < end;
  };
  SDG_CHECK(in_range(c, counts_.size(1)), "segmentation: classes must be 0 to ", counts_.size(1) - 1, " or ", ignored_);
  const auto named = k.ne(kUnnamed).nonzero().squeeze(1);
  unnamed_ += at::bincount(c, {}, unnamed_.numel());
  if (named.numel() == 0) return;
  c = c.index_select(0, named);
  k = k.index_select(0, named);
  unnamed_ -= at::bincount(c, {}, unnamed_.numel());
  SDG_CHECK(in_range(k, counts_.size(0)), "segmentation: clusters must be 0 to ", counts_.size(0) - 1);
  counts_ += at::bincount(k * counts_.size(1) + c, {}, counts_.numel()).view(counts_.sizes());
}

SegmentationScores SegmentationScorer::scores() const {
  SegmentationScores out;
  out.pixels = pixels();
  SDG_CHECK(out.pixels > 0, "segmentation: no pixel to score");
  const auto matched = min_cost_assignment(-counts_.to(at::kDouble));
  out.miou = mean_iou(counts_, unnamed_, matched, &out.iou);
  out.accuracy = agreeing(counts_, out.pixels, matched);
  const auto most = counts_.argmax(1);
  const std::vector<int64_t> majority(most.const_data_ptr<int64_t>(), most.const_data_ptr<int64_t>() + most.numel());
  out.miou_majority = mean_iou(counts_, unnamed_, majority, nullptr);
  out.accuracy_majority = agreeing(counts_, out.pixels, majority);
  return out;
}

}  // namespace sdg::metrics
