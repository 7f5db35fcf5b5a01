#pragma once
#include "io/json_impl.h"
#include "sdg/config/value.h"
#include "sdg/sample/options.h"

namespace sdg::generate {

/// The options that decide the images, by their names; those without effect are left out.
inline nlohmann::ordered_json to_json(sample::SampleOptions sample) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto idle = sample::idle(sample);
  const auto fields = config::Fields::of(sample);
  for (const auto& field : fields.list()) {
    if (field.doc.only_speed || idle.contains(field.path)) continue;
    std::visit([&](const auto& value) { json[field.path] = value; }, config::current_value(field));
  }
  return json;
}

}  // namespace sdg::generate
