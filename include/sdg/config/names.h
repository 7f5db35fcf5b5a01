#pragma once
#include <array>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// Enums whose values have names, so that an option with named values is never compared with text. The names stand
/// beside the enum, in the order of its values, which count from 0:
///
///     enum class Grid { kUniform, kOwn };
///     constexpr auto names_of(Grid) { return std::array{"uniform", "own"}; }
namespace sdg::config {

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E value) {
  { names_of(value)[0] } -> std::convertible_to<std::string_view>;
};

template <NamedEnum E>
constexpr std::string_view name(E value) {
  return names_of(value)[static_cast<size_t>(value)];
}

template <NamedEnum E>
std::vector<std::string> all_names() {
  const auto names = names_of(E{});
  return {names.begin(), names.end()};
}

/// The value of that name; nothing where there is none.
template <NamedEnum E>
std::optional<E> from_name(std::string_view text) {
  const auto names = names_of(E{});
  for (size_t i = 0; i < names.size(); ++i) {
    if (text == names[i]) return static_cast<E>(i);
  }
  return std::nullopt;
}

/// An option of some enum's type, seen as the name of its value.
class NamedSlot {
 public:
  template <NamedEnum E>
  NamedSlot(E* option)  // NOLINT(google-explicit-constructor): a pointer to an option is its slot
      : option_(option),
        get_([](const void* from) { return std::string(name(*static_cast<const E*>(from))); }),
        set_([](void* to, std::string_view text) {
          const auto value = from_name<E>(text);
          if (value) *static_cast<E*>(to) = *value;
          return value.has_value();
        }),
        names_(&all_names<E>) {}

  std::string operator*() const { return get_(option_); }
  /// Stores the value of that name; false, changing nothing, where there is none.
  bool set(std::string_view text) const { return set_(option_, text); }
  std::vector<std::string> names() const { return names_(); }

 private:
  void* option_;
  std::string (*get_)(const void*);
  bool (*set_)(void*, std::string_view);
  std::vector<std::string> (*names_)();
};

}  // namespace sdg::config
