#pragma once
#include <algorithm>
#include <string_view>

#include "sdg/core/error.h"
#include "sdg/model/velocity_model.h"

namespace sdg::model {

/// Which blocks' outputs a forward pass keeps, and when it may stop.
class FeatureTaps {
 public:
  /// Throws Error, beginning with `who`, for depths that the network does not have.
  FeatureTaps(const ForwardOptions& options, int64_t blocks, std::string_view who) : options_(options) {
    const auto check = [&](int64_t depth, int64_t lowest) {
      SDG_CHECK(depth >= lowest && depth < blocks, who, ": feature depth must be in 0..", blocks - 1, ", got ", depth);
      deepest_ = std::max(deepest_, depth);
    };
    check(options.feature_depth, options.features_only && options.feature_depths.empty() ? 0 : -1);
    for (const auto depth : options.feature_depths) check(depth, 0);
  }

  /// To be called after each block; `tokens()` gives its output [N, T, D]. True where nothing further is wanted.
  template <class Tokens>
  bool take(int64_t depth, const Tokens& tokens, ForwardOutput& out) const {
    const auto& many = options_.feature_depths;
    const bool one = depth == options_.feature_depth;
    if (one || std::find(many.begin(), many.end(), depth) != many.end()) {
      const auto kept = tokens();
      if (one) out.features = kept;
      out.all_features.resize(many.size());
      for (size_t i = 0; i < many.size(); ++i) {
        if (many[i] == depth) out.all_features[i] = kept;
      }
    }
    return options_.features_only && depth == deepest_;
  }

 private:
  const ForwardOptions& options_;
  int64_t deepest_ = -1;
};

}  // namespace sdg::model
