#pragma once
#include <string>
#include <string_view>
#include <vector>

// Small text helpers of this folder; ASCII only, free of the locale.
namespace sdg::config {
std::string lower_case(std::string_view text);
std::string_view trimmed(std::string_view text);
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ");
/// "train.ema" of "train.ema.decay"; empty for a name without a dot.
std::string_view parent_of(std::string_view path);
/// "decay" of "train.ema.decay".
std::string_view leaf_of(std::string_view path);
/// `text` on one line: control characters as \n, \t, \x07. With `quote`, that character and the backslash are escaped
/// too.
std::string escaped(std::string_view text, char quote = '\0');
/// A key for a message: on one line, cut where it is absurdly long.
std::string shown_key(std::string_view key);
}  // namespace sdg::config
