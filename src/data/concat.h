#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/data/opened.h"

namespace sdg::data {

/// Several sources behind each other, by one index.
template <class Source>
class Parts {
 public:
  /// Each with its size.
  void add(std::shared_ptr<Source> source, int64_t size) {
    sources_.push_back(std::move(source));
    ends_.push_back(this->size() + size);
  }
  int64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  const std::vector<std::shared_ptr<Source>>& all() const { return sources_; }

  struct Place {
    const Source& source;
    int64_t index;  ///< within it
    int64_t left;   ///< how many it holds from there on
  };
  Place at(int64_t index) const {
    SDG_CHECK(index >= 0 && index < size(), "data: expected an index in [0, ", size(), "), got ", index);
    const auto part = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    const int64_t begin = part == 0 ? 0 : ends_[part - 1];
    return {*sources_[part], index - begin, ends_[part] - index};
  }

 private:
  std::vector<std::shared_ptr<Source>> sources_;
  std::vector<int64_t> ends_;
};

/// One data set of several, each with its path. Of tensor files (`of_tensors`) shapes must agree and numbered classes
/// keep their numbers; of others classes are joined by name. Throws Error, naming two parts, where they do not go
/// together. Without description and path.
OpenedData concat(const std::vector<OpenedData>& parts, bool of_tensors);

}  // namespace sdg::data
