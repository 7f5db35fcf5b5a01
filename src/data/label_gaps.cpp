#include "sdg/data/label_gaps.h"

#include "sdg/core/error.h"
#include "sdg/core/log.h"

namespace sdg::data {

void warn_of_gaps(const Tensor& numbers, const std::string& where) {
  constexpr int64_t kFew = 100;
  const auto classes = numbers.max().item<int64_t>() + 1;
  if (classes <= kFew) return;
  const auto used = std::get<0>(at::_unique(numbers)).size(0);
  if (2 * used >= classes) return;
  log::warning(cat(where, ": the numbers of the classes go up to ", classes - 1, ", but only ", used, " of these ",
                   classes, " classes have an image: are they identifiers? Number them from 0 on"));
}

}  // namespace sdg::data
