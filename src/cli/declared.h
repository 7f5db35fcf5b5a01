#pragma once
#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sdg/config/fields.h"

/// Options of the command line that are read and checked as options of a configuration are: by one declaration.
namespace sdg::cli {

/// The declaration of an option of a run, "sample.guidance". Throws Error where there is none.
const config::Field& declared(const std::string& path);

/// A number or name that only a command has: its own declaration. T is int64_t, double, std::string or a named enum.
template <class T>
config::Field own(config::Doc doc) {
  if constexpr (config::NamedEnum<T>) {
    doc.choices = config::all_names<T>();
    return own<std::string>(std::move(doc));
  } else {
    return {"", config::Slot(static_cast<T*>(nullptr)), std::move(doc), T{}};
  }
}

/// What `text` means. Throws UsageError `--guidance: expected a number of at least 0, got "nan"`.
config::Value parse_option(const std::string& flag, const config::Field& field, const std::string& text);

/// The field's help, `note` (which default there is, …) and what is accepted, as one text.
std::string option_help(const config::Field& field, const std::string& note);
/// "N", "X" or "NAME"
std::string option_type(const config::Field& field);
/// "a,b" "c" as a, b, c; nothing between two commas, or after the last one, is an empty part.
std::vector<std::string> parts_of(const std::vector<std::string>& texts);
/// The long name of "run,--run".
std::string long_name(const std::string& flags);

namespace detail {
/// Of an enum the value of that name, which the declaration has accepted.
template <class T>
T value_as(const config::Value& value) {
  if constexpr (config::NamedEnum<T>)
    return *config::from_name<T>(std::get<std::string>(value));
  else
    return std::get<T>(value);
}

template <class T>
CLI::Option* add_one(CLI::App& app, const std::string& flags, const config::Field& field, const std::string& note,
                     std::function<void(T)> store) {
  return app
      .add_option_function<std::string>(
          flags,
          [field, flag = long_name(flags), store = std::move(store)](const std::string& text) {
            store(detail::value_as<T>(parse_option(flag, field, text)));
          },
          option_help(field, note))
      ->type_name(option_type(field));
}
}  // namespace detail

/// Adds the option to the command. `note` follows the declaration's help: where the default comes from.
template <class T>
CLI::Option* declare(CLI::App& app, const std::string& flags, T& target, const config::Field& field,
                     const std::string& note = "") {
  return detail::add_one<T>(app, flags, field, note, [&target](T value) { target = std::move(value); });
}
template <class T>
CLI::Option* declare(CLI::App& app, const std::string& flags, std::optional<T>& target, const config::Field& field,
                     const std::string& note = "") {
  return detail::add_one<T>(app, flags, field, note, [&target](T value) { target = std::move(value); });
}
/// A list with commas between, each checked as the field; what comes twice (1 and 1.0) counts once.
template <class T>
CLI::Option* declare(CLI::App& app, const std::string& flags, std::vector<T>& target, const config::Field& field,
                     const std::string& note = "") {
  return app
      .add_option_function<std::vector<std::string>>(
          flags,
          [field, flag = long_name(flags), &target](const std::vector<std::string>& texts) {
            for (const auto& text : parts_of(texts)) {
              auto value = std::get<T>(parse_option(flag, field, text));
              if (std::find(target.begin(), target.end(), value) == target.end()) target.push_back(std::move(value));
            }
          },
          option_help(field, note))
      ->type_name(option_type(field) + ",...");
}

/// Was the option given?
bool given(const CLI::App& app, const std::string& flag);
/// Throws UsageError `--seed: REASON` for the first of the options that was given: what cannot be honoured is refused.
void refuse(const CLI::App& app, const std::vector<std::string>& flags, const std::string& reason);

}  // namespace sdg::cli
