#pragma once
#include <cstdint>
#include <string_view>

#include "sdg/model/options.h"
#include "sdg/model/velocity_model.h"

namespace sdg::model {

/// Row numbers [N] in a table whose row `null_row` stands for "no condition"; kUnconditional is the null row too.
/// null_row < 0: the table has none, and only undropped conditions are accepted.
Tensor resolve_index(const Condition& condition, int64_t classes, int64_t null_row, int64_t count,
                     const at::Device& device, std::string_view where);

/// The vectors the network is told, [N or 1, 1 or L, D]: the given ones, `null` [1, 1, D] where they are dropped (and
/// in mode kNull), `unconditional` [1, 1, D] in mode kUnconditional. `patches` is L for kind patch_vector and 1 for
/// kind vector.
Tensor resolve_vector(const Condition& condition, const Tensor& null, const Tensor& unconditional, int64_t count,
                      int64_t patches, std::string_view where);

/// The maps the network is told, [N, M, S, S]: the given ones, `null` [1, 1, S, S] in every channel where they are
/// dropped, and in the other two modes.
Tensor resolve_map(const Condition& condition, const Tensor& null, int64_t channels, int64_t count,
                   std::string_view where);

}  // namespace sdg::model
