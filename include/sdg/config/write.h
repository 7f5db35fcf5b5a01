#pragma once
#include <string>

#include "sdg/config/fields.h"

/// The options as text: for people, for the folder of a run, for the manual.
namespace sdg::config {

struct WriteStyle {
  bool comments = false;  ///< above each key: what it does, unit, what it accepts, and the default where it was changed
  bool only_changed = false;   ///< leave out what has the value it was declared with
  bool without_later = false;  ///< the same for options marked `later` alone: the text is what it was before them
};

/// The present values as nested YAML, in the order of declaration; reads back exactly through read_yaml.
std::string to_yaml(const Fields& fields, WriteStyle style = {});

/// The manual page: for each group a heading, its help, and a table of key, default, unit, what is accepted, and
/// meaning. The defaults are the values at declaration, so declare on a fresh struct.
std::string to_markdown(const Fields& fields);

}  // namespace sdg::config
