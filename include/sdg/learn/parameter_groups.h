#pragma once
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/network/flat_parameters.h"
#include "sdg/recipe/options.h"

namespace sdg::learn {

/// Parts of the flat tensor of parameters that the optimizer treats alike.
struct ParameterGroup {
  double lr = 1;  ///< in multiples of the step's learning rate
  double weight_decay = 0;
  std::vector<RowRange> parts;  ///< ascending; neighbours are joined
};

/// Groups that cover the flat tensor: by train.no_decay and train.head_lr. `ranges` are all of its parameters, of which
/// those from `head` on are the head's. With the options' defaults there is one group of one part: everything.
std::vector<ParameterGroup> parameter_groups(const recipe::TrainOptions& options,
                                             const std::vector<network::NamedRange>& ranges, size_t head);

/// All parts of the groups in their order, and what of the groups lies within a part of the flat tensor, counted from
/// its beginning.
std::vector<RowRange> parts_of(const std::vector<ParameterGroup>& groups);
std::vector<ParameterGroup> groups_within(const std::vector<ParameterGroup>& groups, RowRange place);

}  // namespace sdg::learn
