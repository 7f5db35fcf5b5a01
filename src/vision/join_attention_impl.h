#pragma once
#include <array>
#include <map>
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/tensor.h"

namespace sdg::vision {

/// blocks.N.attn.{query,key,value}.{weight,bias}, by the names that `which` gives them, become blocks.N.attn.qkv.*.
/// What is missing is left so, and said where the weights are taken.
inline void join_query_key_value(std::map<std::string, Tensor>& weights, const std::array<const char*, 3>& which) {
  for (int64_t block = 0;; ++block) {
    const auto at = cat("blocks.", block, ".attn.");
    if (!weights.count(cat(at, which[0], ".weight"))) return;
    for (const char* kind : {".weight", ".bias"}) {
      std::vector<Tensor> parts;
      for (const char* one : which) {
        const auto found = weights.find(cat(at, one, kind));
        if (found == weights.end()) continue;
        parts.push_back(found->second);
        weights.erase(found);
      }
      if (parts.size() == which.size()) weights[cat(at, "qkv", kind)] = at::cat(parts);
    }
  }
}

}  // namespace sdg::vision
