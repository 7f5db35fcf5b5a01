#include "sdg/learn/agreement.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <unordered_set>

#include "sdg/core/device.h"
#include "sdg/core/error.h"

namespace sdg::learn {
namespace {
constexpr int64_t kSpan = 2000;
}

Agreement::Agreement(int64_t images, int64_t patches)
    : stride_(std::max<int64_t>(1, (images + kRemembered - 1) / kRemembered)) {
  const auto remembered = (images + stride_ - 1) / stride_;
  memory_ = at::full({remembered, patches}, -1, at::kInt);
  span_ = static_cast<double>(std::min(remembered, kSpan));
}

void Agreement::see(const std::vector<int64_t>& own, const Tensor& ids, Reducer& reducer) {
  const auto images = static_cast<int64_t>(own.size()), patches = memory_.size(1);
  SDG_CHECK(ids.numel() == images * patches, "agreement: expected ", patches, " clusters for each of ", images,
            " images, got ", to_string(ids.sizes()));
  const auto rows = ids.to(at::kCPU, at::kLong).reshape({images, patches});
  const auto now = reducer.all_gather(rows).to(at::kInt).contiguous();  // [n, L]
  const auto all = reducer.all_gather(at::tensor(own, at::kLong));      // [n]
  const at::IntArrayRef index(all.const_data_ptr<int64_t>(), static_cast<size_t>(all.numel()));
  auto* memory = memory_.data_ptr<int>();
  const auto* fresh = now.const_data_ptr<int>();
  double kept = 0, again = 0;
  // An image that a step sees several times was looked at once, by one teacher: the first of the rows counts.
  std::unordered_set<int64_t> met;
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] % stride_ != 0 || index[i] / stride_ >= memory_.size(0) || !met.insert(index[i]).second) continue;
    auto* old = memory + index[i] / stride_ * patches;
    const auto* row = fresh + static_cast<int64_t>(i) * patches;
    if (old[0] >= 0) {
      again += 1;
      kept += static_cast<double>(patches - std::transform_reduce(row, row + patches, old, int64_t{0}, std::plus<>(),
                                                                  [](int a, int b) { return int64_t{a != b}; })) /
              static_cast<double>(patches);
    }
    std::copy(row, row + patches, old);
  }
  if (again == 0) return;
  const double decay = std::exp(-again / span_);
  kept_ = decay * kept_ + (1 - decay) * kept / again;
  counted_ = decay * counted_ + (1 - decay);
  seen_ += again;
}

// Which of the rows are remembered, and where, the host knows; what stood there stays on the device.
void Agreement::see_unless(const Tensor& bad, const std::vector<int64_t>& index, const Tensor& ids) {
  const auto images = static_cast<int64_t>(index.size()), patches = memory_.size(1);
  SDG_CHECK(ids.numel() == images * patches, "agreement: expected ", patches, " clusters for each of ", images,
            " images, got ", to_string(ids.sizes()));
  const at::NoGradGuard no_grad;
  if (!sums_.defined()) {
    sums_ = at::tensor({kept_, counted_, seen_}, at::kDouble).to(ids.device());
    memory_ = memory_.to(ids.device());
  }
  std::vector<int64_t> rows, places;
  std::unordered_set<int64_t> met;
  for (int64_t i = 0; i < images; ++i) {
    const auto image = index[static_cast<size_t>(i)];
    if (image % stride_ != 0 || image / stride_ >= memory_.size(0) || !met.insert(image).second) continue;
    rows.push_back(i);
    places.push_back(image / stride_);
  }
  if (rows.empty()) return;
  const auto there = to_device(at::tensor(places, at::kLong), ids.device());
  const auto fresh =
      ids.reshape({images, patches}).index_select(0, to_device(at::tensor(rows, at::kLong), ids.device())).to(at::kInt);
  const auto old = memory_.index_select(0, there);  // [m, L]
  const auto again = old.select(1, 0).ge(0).to(at::kDouble);
  const auto count = again.sum(), kept = (fresh.eq(old).to(at::kDouble).mean(1) * again).sum();
  const auto decay = at::exp(-count / span_);  // 1 where nothing was seen again
  const auto now = at::stack(
      {decay * sums_[0] + (1 - decay) * kept / count.clamp_min(1), decay * sums_[1] + (1 - decay), sums_[2] + count});
  sums_ = at::where(bad, sums_, now);
  memory_.index_copy_(0, there, at::where(bad, old, fresh));
}

Figure Agreement::value() const {
  if (sums_.defined())
    return Figure::of(at::where(sums_[2].ge(span_), sums_[0] / sums_[1], at::full_like(sums_[0], -1.0)));
  return seen_ >= span_ ? kept_ / counted_ : -1;
}

Tensor Agreement::figures() const {
  if (sums_.defined()) return sums_;
  return at::tensor({kept_, counted_, seen_}, at::kDouble);
}

void Agreement::restore(const Tensor& memory, const Tensor& figures) {
  SDG_CHECK(memory.sizes() == memory_.sizes() && figures.numel() == 3, "agreement: expected ",
            to_string(memory_.sizes()), ", got ", to_string(memory.sizes()));
  memory_.copy_(memory);
  kept_ = figures[0].item<double>();
  counted_ = figures[1].item<double>();
  seen_ = figures[2].item<double>();
  sums_ = Tensor();
}

}  // namespace sdg::learn
