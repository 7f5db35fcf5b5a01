#include "sdg/evaluate/protocol.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/io/digest.h"

namespace sdg::evaluate {
namespace {

const std::string* value_of(const Protocol& protocol, const std::string& field) {
  const auto found = std::find_if(protocol.begin(), protocol.end(), [&](const auto& p) { return p.first == field; });
  return found == protocol.end() ? nullptr : &found->second;
}

}  // namespace

std::string protocol_id(const Protocol& protocol) {
  io::Digest digest;
  for (const auto& [field, value] : protocol) digest.text(field).text(value);
  return digest.hex().substr(0, 16);
}

std::vector<std::string> protocol_differences(const Protocol& a, const Protocol& b) {
  std::vector<std::string> out;
  for (const auto& [field, value] : a) {
    const auto* other = value_of(b, field);
    if (!other || *other != value) out.push_back(cat(field, " ", value, " against ", other ? *other : "none"));
  }
  for (const auto& [field, value] : b)
    if (!value_of(a, field)) out.push_back(cat(field, " none against ", value));
  return out;
}

}  // namespace sdg::evaluate
