#pragma once
#include <yaml-cpp/yaml.h>

#include <string>

namespace sdg::config {
/// The one YAML document of `text`; an undefined or null node where there is none. Throws YAML::Exception with a mark
/// for malformed text and for anything after the document.
YAML::Node parse_document(const std::string& text);
}  // namespace sdg::config
