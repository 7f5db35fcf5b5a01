#pragma once
#include "sdg/core/figure.h"
#include "sdg/learn/objective.h"

namespace sdg::learn {

/// A tensor that was computed of the shard, to keep.
inline Tensor kept(const Shard& shard, const Tensor& computed) {
  return shard.lent && computed.defined() ? computed.clone() : computed;
}

/// A scalar of them as a number, read at once where steps read.
inline Figure figure_of(const Shard& shard, const Tensor& scalar) {
  return shard.no_waiting ? Figure::of(kept(shard, scalar)) : Figure(scalar.item<double>());
}

}  // namespace sdg::learn
