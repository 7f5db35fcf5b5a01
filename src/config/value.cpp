#include "sdg/config/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include "sdg/config/suggest.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace sdg::config {
namespace {

// "1_000_000" -> "1000000"; an underscore stands only between two digits. A leading + goes too: from_chars knows none.
std::optional<std::string> plain_number(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) return std::nullopt;
  }
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return out;
}

template <class Number>
std::optional<Number> from_chars(const std::string& text) {
  Number number{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> read_double(std::string_view text) {
  const auto plain = plain_number(text);
  const auto number = plain ? from_chars<double>(*plain) : std::nullopt;
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<int64_t> read_int(std::string_view text) {
  const auto plain = plain_number(text);
  if (!plain) return std::nullopt;
  if (const auto number = from_chars<int64_t>(*plain)) return number;
  constexpr double kExact = 0x1p53;  // up to here every whole double stands for one whole number
  const auto number = read_double(text);
  if (!number || std::abs(*number) > kExact || std::trunc(*number) != *number) return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::optional<bool> read_bool(std::string_view text) {
  const std::string lower = lower_case(text);
  if (lower == "true" || lower == "yes" || lower == "on") return true;
  if (lower == "false" || lower == "no" || lower == "off") return false;
  return std::nullopt;
}

std::optional<std::vector<int64_t>> read_list(std::string_view text) {
  std::vector<int64_t> out;
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = trimmed(text.substr(1, text.size() - 2));
    if (text.empty()) return out;
  }
  while (true) {
    const auto comma = text.find(',');
    const auto number = read_int(trimmed(text.substr(0, comma)));
    if (!number) return std::nullopt;
    out.push_back(*number);
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

std::optional<Value> read(const Slot& slot, std::string_view text) {
  const auto as_value = [](auto&& parsed) { return parsed ? std::optional<Value>(*parsed) : std::nullopt; };
  switch (slot.index()) {
    case 0:
      return as_value(read_bool(trimmed(text)));
    case 1:
      return as_value(read_int(trimmed(text)));
    case 2:
      return as_value(read_double(trimmed(text)));
    case 4:
      return as_value(read_list(trimmed(text)));
    default:
      return Value(std::string(text));
  }
}

// long double holds every int64 and every double, so that no bound is missed by rounding.
bool in_range(const Doc& doc, long double number) {
  return number >= doc.min && number <= doc.max;
}

bool is_accepted(const Doc& doc, const Value& value) {
  struct Check {
    const Doc& doc;
    bool operator()(bool) const { return true; }
    bool operator()(int64_t number) const { return in_range(doc, static_cast<long double>(number)); }
    bool operator()(double number) const { return std::isfinite(number) && in_range(doc, number); }
    bool operator()(const std::string& text) const {
      return doc.choices.empty() || std::find(doc.choices.begin(), doc.choices.end(), text) != doc.choices.end();
    }
    bool operator()(const std::vector<int64_t>& list) const {
      return std::all_of(list.begin(), list.end(), [this](int64_t number) { return (*this)(number); });
    }
  };
  return std::visit(Check{doc}, value);
}

std::string range_text(const Doc& doc) {
  const bool has_min = std::isfinite(doc.min), has_max = std::isfinite(doc.max);
  if (has_min && has_max) return cat(" from ", to_text(doc.min), " to ", to_text(doc.max));
  if (has_min) return cat(" of at least ", to_text(doc.min));
  if (has_max) return cat(" of at most ", to_text(doc.max));
  return "";
}

std::string problem_with(const Field& field, const std::string& got) {
  return cat("expected ", expected(field), ", got ", got);
}

// Digits alone, and yet no whole number: beyond what 64 bits hold.
bool is_too_long(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text.size() > 18 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string problem_with(const Field& field, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return problem_with(field, to_text(value));
  const std::string near = closest(*text, field.doc.choices);
  return problem_with(field, in_quotes(*text)) + (near.empty() ? "" : cat("; did you mean ", near, "?"));
}

}  // namespace

Parsed try_parse(const Field& field, std::string_view text) {
  const auto value = read(field.slot, text);
  if (!value) {
    const bool too_long = std::holds_alternative<int64_t*>(field.slot) && is_too_long(text);
    return {field.initial, problem_with(field, in_quotes(text)) +
                               (too_long ? "; whole numbers end at 9223372036854775807" : std::string())};
  }
  if (!is_accepted(field.doc, *value)) return {field.initial, problem_with(field, *value)};
  return {*value};
}

Value parse_value(const Field& field, std::string_view text) {
  Parsed parsed = try_parse(field, text);
  SDG_CHECK_USAGE(parsed.problem.empty(), field.path, ": ", parsed.problem);
  return std::move(parsed.value);
}

Value current_value(const Field& field) {
  return std::visit([](const auto& slot) { return Value(*slot); }, field.slot);
}

void assign(const Field& field, const Value& value) {
  if (const auto* named = std::get_if<NamedSlot>(&field.slot)) {
    const auto* text = std::get_if<std::string>(&value);
    SDG_CHECK(text && named->set(*text), field.path, ": expected ", accepted(field), ", got ", to_text(value));
    return;
  }
  SDG_CHECK(field.slot.index() == value.index(), field.path, ": expected ", accepted(field),
            ", got a value of another type: ", to_text(value));
  const auto store = [&](const auto& slot) {
    if constexpr (!std::is_same_v<decltype(slot), const NamedSlot&>)
      *slot = std::get<std::remove_pointer_t<std::remove_cvref_t<decltype(slot)>>>(value);
  };
  std::visit(store, field.slot);
}

bool is_changed(const Field& field) {
  return current_value(field) != field.initial;
}

void check_values(const Fields& fields) {
  for (const auto& field : fields.list()) {
    const Value value = current_value(field);
    SDG_CHECK(is_accepted(field.doc, value), field.path, ": ", problem_with(field, value));
  }
}

std::string accepted(const Field& field) {
  switch (field.slot.index()) {
    case 0:
      return "true or false";
    case 1:
      return "whole number" + range_text(field.doc);
    case 2:
      return "number" + range_text(field.doc);
    case 4: {
      const std::string range = range_text(field.doc);
      return range.empty() ? "list of whole numbers" : "list of whole numbers, each" + range;
    }
    default:
      return field.doc.choices.empty() ? "text" : "one of " + joined(field.doc.choices);
  }
}

std::string expected(const Field& field) {
  const bool is_number = field.slot.index() == 1 || field.slot.index() == 2 || field.slot.index() == 4;
  return cat(is_number ? "a " : "", accepted(field), field.doc.unit.empty() ? "" : cat(" (", field.doc.unit, ")"));
}

}  // namespace sdg::config
