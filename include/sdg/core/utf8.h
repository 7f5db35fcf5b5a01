#pragma once
#include <string>
#include <string_view>

/// Names of files are bytes, JSON is UTF-8. Where a name goes into JSON (metadata of safetensors, `--json`, lines of a
/// log), each byte that is not UTF-8 is written as \xHH, two capital hexadecimal digits, and a backslash that already
/// begins such a text as \x5C. Nothing else changes, so nearly all names stay as they are, and every name comes back.
namespace sdg {

/// Bytes → UTF-8 as above.
std::string to_utf8(std::string_view bytes);
/// The bytes again: from_utf8(to_utf8(x)) == x for every x.
std::string from_utf8(std::string_view text);

}  // namespace sdg
