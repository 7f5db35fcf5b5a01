#pragma once
#include <vector>

#include "sdg/core/rng.h"
#include "sdg/core/tensor.h"
#include "sdg/model/options.h"
#include "sdg/model/velocity_model.h"

namespace sdg::network {

/// What images are told where that is stored row by row: while training a row an image of the data set, in a checkpoint
/// some of them, which sampling draws from. A row is an index, a vector, a vector for every patch, a map, or one of the
/// first three and a map.
struct StoredConditions {
  Tensor values;  ///< int64 [R], float [R, D] (told in float32) or float [R, L, D]; undefined where there are maps
                  ///< alone
  Tensor maps;    ///< float [R, M, S, S]; uint8 [R, M, S, S] of 0 and 1; or uint8 [R, S, S] of classes, shown
                  ///< as M channels of 0 and 1: what is M and more (kNoClass) is in no channel
  int64_t classes = 0;       ///< of int64 values: they are below
  int64_t map_channels = 0;  ///< M
  Tensor weights{};          ///< float64 [R]: how often images are told each row; undefined: equally often
  Tensor clusters{};         ///< integers [R]: of rows that are what was seen of an image, its cluster, -1 where it had
                             ///< no look yet; undefined: nobody says so
  Tensor neighbours{};       ///< int64 [R, k]: who is to be told row r is told one of these instead; undefined: r

  static constexpr int64_t kNoClass = 255;

  int64_t rows() const;
  model::ConditionKind kind() const;
  /// Width of the vectors, 0 where there are none.
  int64_t width() const;

  /// How often each row is told, float64 [R]; rows without a look never.
  Tensor frequencies() const;
  /// The rows that samples are told who are to be told `ids`, int64 [N]: these, or of each one of its neighbours, a
  /// function of (stream, samples[i]).
  Tensor rows_for(const Tensor& ids, const rng::Stream& stream, const std::vector<int64_t>& samples) const;

  /// The condition of the rows `ids`, int64 [N], on their device. `drop` bool [N] as in Condition.
  model::Condition of(const Tensor& ids, const Tensor& drop = {}) const;

  /// As many of the rows as 64 MiB hold, always the same ones, in their order. Of rows with neighbours each is one of
  /// its neighbours, so that the rows are told as they are in training.
  StoredConditions some() const;
};

}  // namespace sdg::network
