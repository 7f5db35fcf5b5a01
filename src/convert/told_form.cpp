#include "sdg/convert/told_form.h"

#include <iterator>
#include <sstream>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/recipe/source.h"

namespace sdg::convert {

std::optional<recipe::ConditionOptions> told_in(const tensors::Weights& weights, const std::string& where) {
  if (!weights.metadata.contains("config") || !weights.metadata.contains("step")) return std::nullopt;
  const auto config = checkpoint::parse_info({{}, weights.metadata}, where).config;
  if (!recipe::facts_of(config).online) return std::nullopt;
  return config.condition;
}

bool is_told_as_public(const recipe::ConditionOptions& condition) {
  const bool length_1 = condition.token == recipe::Token::kRaw ||
                        (condition.token == recipe::Token::kScaled && condition.token_scale == 1);
  return length_1 && condition.null_token == recipe::NullToken::kSeparate;
}

std::string told_text(const recipe::ConditionOptions& condition) {
  return cat("condition.token=", config::name(condition.token), " condition.token_scale=", condition.token_scale,
             " condition.null_token=", config::name(condition.null_token));
}

std::vector<std::string> told_overrides(const tensors::Weights& weights) {
  const auto found = weights.metadata.find(kToldKey);
  if (found == weights.metadata.end()) return {};
  std::istringstream words(found->second);
  return {std::istream_iterator<std::string>(words), {}};
}

}  // namespace sdg::convert
