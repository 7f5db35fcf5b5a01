#include "sdg/regions/lost.h"

#include <algorithm>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::regions {
namespace {

void check(const Tensor& patches, int64_t rows, int64_t columns, const LostOptions& options) {
  check_shape(patches, {rows * columns, -1}, "LOST: patches");
  SDG_CHECK(rows * columns > 0, "LOST: a picture of ", rows, " x ", columns, " patches");
  SDG_CHECK_USAGE(options.candidates >= 1, "LOST: expected at least 1 candidate, got ", options.candidates);
  const auto good = patches.isfinite().all(1).logical_and(patches.ne(0).any(1));
  if (good.all().item<bool>()) return;
  const auto bad = good.to(at::kByte).argmin().item<int64_t>();
  throw Error(cat("LOST: the vector of patch ", bad,
                  patches[bad].isfinite().all().item<bool>() ? " is all zeros: it correlates with nothing"
                                                             : " holds numbers that are not finite"));
}

// The part of `wanted` that hangs together with `seed`.
Tensor piece_with(const Tensor& wanted, int64_t seed, int64_t rows, int64_t columns) {
  auto out = at::zeros({rows * columns}, at::kBool);
  const auto given = wanted.to(at::kBool).contiguous();
  const auto* in = given.const_data_ptr<bool>();
  auto* reached = out.mutable_data_ptr<bool>();
  std::vector<int64_t> open{seed};
  reached[seed] = true;
  const auto visit = [&](int64_t patch) {
    if (!in[patch] || reached[patch]) return;
    reached[patch] = true;
    open.push_back(patch);
  };
  while (!open.empty()) {
    const auto patch = open.back(), column = patch % columns;
    open.pop_back();
    if (patch >= columns) visit(patch - columns);
    if (patch + columns < rows * columns) visit(patch + columns);
    if (column > 0) visit(patch - 1);
    if (column + 1 < columns) visit(patch + 1);
  }
  return out.view({rows, columns});
}

Box around(const Tensor& mask) {
  const auto ends = [](const Tensor& any) {
    const auto where = any.nonzero();
    return std::pair{where.min().item<double>(), where.max().item<double>() + 1};
  };
  const auto [left, right] = ends(mask.any(0));
  const auto [top, bottom] = ends(mask.any(1));
  return {left, top, right, bottom};
}

}  // namespace

LostObject find_object(const Tensor& patches, int64_t rows, int64_t columns, const LostOptions& options) {
  check(patches, rows, columns, options);
  const auto f = patches.to(at::kCPU, at::kDouble);
  const auto correlation = f.mm(f.t());          // [P, P]
  const auto degree = correlation.gt(0).sum(1);  // [P]
  const auto order = degree.argsort(/*stable=*/true, 0, /*descending=*/false);
  LostObject out;
  out.seed = order[0].item<int64_t>();
  const auto candidates = order.slice(0, 0, std::min(options.candidates, rows * columns));
  const auto grows = correlation[out.seed].index_select(0, candidates).gt(0);
  const auto grown = candidates.masked_select(grows);  // the seed among them: its vector is not zero
  const auto alike = correlation.index_select(0, grown).sum(0).gt(0);
  out.mask = piece_with(alike, out.seed, rows, columns);
  out.box = around(out.mask);
  return out;
}

}  // namespace sdg::regions
