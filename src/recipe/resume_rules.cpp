#include "sdg/recipe/resume_rules.h"

#include "sdg/config/value.h"
#include "sdg/core/error.h"

namespace sdg::recipe {

ResumeChanges resume_changes(const RunConfig& stored, const RunConfig& wanted) {
  auto a = stored, b = wanted;
  const auto old_fields = config::Fields::of(a), new_fields = config::Fields::of(b);
  ResumeChanges changes;
  for (const auto& field : old_fields.list()) {
    const auto before = config::to_text(config::current_value(field)),
               after = config::to_text(config::current_value(*new_fields.find(field.path)));
    if (before == after || field.doc.resume == config::Resume::kFree) continue;
    if (field.doc.resume == config::Resume::kSaid) {
      changes.said.push_back(cat(field.path, " ", before, " -> ", after));
      continue;
    }
    if (changes.refused.empty()) {
      changes.instead = field.doc.instead.empty() ? "what is stored would mean something else: choose another --run"
                                                  : field.doc.instead;
    }
    changes.refused.push_back(cat(field.path, " (", before, " -> ", after, ")"));
  }
  return changes;
}

}  // namespace sdg::recipe
