#include "sdg/config/overrides.h"

#include "keys_impl.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace sdg::config {

void apply_override(const Fields& fields, std::string_view assignment) {
  const auto equals = assignment.find('=');
  const auto key = trimmed(assignment.substr(0, equals));
  const std::string where = cat("--set ", shown_key(assignment), ": ");
  SDG_CHECK_USAGE(equals != std::string_view::npos && !key.empty(), where, "expected key=value, such as ",
                  fields.list().empty() ? std::string("a.b=c")
                                        : fields.list().front().path + "=" + to_text(fields.list().front().initial));
  SDG_CHECK_USAGE(!fields.find_group(key), where, group_needs_keys(fields, key));
  const Field* field = fields.find(key);
  SDG_CHECK_USAGE(field, where, unknown_key(fields, key, KeyKind::kOption));
  const Parsed parsed = try_parse(*field, trimmed(assignment.substr(equals + 1)));
  SDG_CHECK_USAGE(parsed.problem.empty(), where, parsed.problem);
  assign(*field, parsed.value);
}

}  // namespace sdg::config
