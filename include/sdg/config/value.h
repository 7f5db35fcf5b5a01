#pragma once
#include <string>
#include <string_view>

#include "sdg/config/fields.h"

/// One option's value: from text, to text, against its declared range.
namespace sdg::config {

/// A parsed value, or what is wrong with the text.
struct Parsed {
  Value value;
  std::string problem{};  ///< `expected a whole number of at least 1 (steps), got "abc"`; empty where the text is good
};

/// Reads text as the field's type and checks range and choices; the field itself is not changed. Accepted are
///   bool     true false yes no on off, in any case
///   int64    42, 1_000_000, and 1e6 where it is exactly a whole number
///   double   any finite decimal number
///   string   the text as it is
///   list     [1, 2] or 1,2; [] is the empty list
Parsed try_parse(const Field& field, std::string_view text);

/// The same; throws UsageError `train.steps: expected …, got …`.
Value parse_value(const Field& field, std::string_view text);

Value current_value(const Field& field);
/// Stores a value of the field's own type; throws Error for another type.
void assign(const Field& field, const Value& value);
/// Does the field hold another value than when it was declared?
bool is_changed(const Field& field);

/// Throws Error `train.steps: expected …, got …` for the first option whose present value is outside its declared
/// range. For values that C++ code has set; what was read from text has been checked already.
void check_values(const Fields& fields);

/// YAML text that reads back as exactly this value. Numbers take their shortest form, strings are quoted only when YAML
/// needs it.
std::string to_text(const Value& value);
/// What parse_value() reads back as this value: strings without quotes, all else as to_text().
std::string as_given(const Value& value);

/// What the field accepts, in words: "whole number of at least 1", "one of auto, cpu, cuda", "true or false".
std::string accepted(const Field& field);
/// The same for a message, with article and unit: "a whole number of at least 1 (steps)".
std::string expected(const Field& field);

/// Text for a message: in double quotes, on one line, cut after about 60 characters.
std::string in_quotes(std::string_view text);

}  // namespace sdg::config
