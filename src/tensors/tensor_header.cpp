#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "sdg/core/error.h"
#include "sdg/core/utf8.h"
#include "sdg/io/file_kind.h"
#include "tensors/tensor_header_impl.h"

namespace sdg::tensors {
namespace {
using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // bytes; the limit of the reference implementation
constexpr uint64_t kLengthBytes = 8;

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 19> kDtypes{{
    {"F64", at::kDouble},
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
    {"F8_E8M0", at::kFloat8_e8m0fnu},
    {"F8_E4M3FNUZ", at::kFloat8_e4m3fnuz},
    {"F8_E5M2FNUZ", at::kFloat8_e5m2fnuz},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U64", at::kUInt64},
    {"U32", at::kUInt32},
    {"U16", at::kUInt16},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
    {"C64", at::kComplexFloat},
}};

// Types of the format that LibTorch cannot compute with: bits of an element.
constexpr std::array<std::pair<std::string_view, int64_t>, 3> kPacked{{{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}}};

// A JSON document in which a key comes twice is ambiguous; nlohmann would silently keep the last one.
json parse_without_duplicates(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      SDG_CHECK(open.back().insert(value.get_ref<const std::string&>()).second, where, ": duplicate key ",
                value.dump(-1, ' ', true), " in the header");
    }
    return true;
  };
  // nlohmann takes a zero byte for the end of the text.
  SDG_CHECK(text.find('\0') == std::string_view::npos, where, ": the header is not valid JSON: it holds a zero byte");
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    throw Error(cat(where, ": the header is not valid JSON: ", error.what()));
  }
}

std::map<std::string, std::string> parse_metadata(const json& value, const std::string& where) {
  if (value.is_null()) return {};
  SDG_CHECK(value.is_object(), where, ": __metadata__ must be an object, got ", value.type_name());
  std::map<std::string, std::string> out;
  for (const auto& [key, text] : value.items()) {
    SDG_CHECK(text.is_string(), where, ": __metadata__ must hold only strings, got ", text.type_name(), " for '", key,
              "'");
    out[key] = from_utf8(text.get<std::string>());
  }
  return out;
}

// Bytes of a tensor of elements of so many bits; also refuses shapes whose strides would not fit int64, even where a
// zero makes the tensor empty.
uint64_t byte_count(const Shape& shape, int64_t bits, const std::string& where) {
  constexpr int64_t kBits = 8;
  int64_t count = 1, span = std::max<int64_t>(bits / kBits, 1), all_bits = 0;
  for (const int64_t extent : shape) {
    SDG_CHECK(!__builtin_mul_overflow(span, std::max<int64_t>(extent, 1), &span), where,
              ": the size of its shape overflows: ", to_string(shape));
    count *= extent;
  }
  if (bits % kBits == 0) return static_cast<uint64_t>(count) * static_cast<uint64_t>(bits / kBits);
  SDG_CHECK(!__builtin_mul_overflow(count, bits, &all_bits) && all_bits % kBits == 0, where, ": ", count,
            " elements of ", bits, " bits do not fill whole bytes");
  return static_cast<uint64_t>(all_bits / kBits);
}

uint64_t byte_count(const TensorEntry& entry, const std::string& where) {
  return byte_count(entry.shape, 8 * static_cast<int64_t>(c10::elementSize(entry.dtype)), where);
}

const json& field(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  SDG_CHECK(found != object.end(), where, ": lacks ", key);
  return *found;
}

TensorEntry parse_entry(const std::string& name, const json& value, const std::string& file) {
  const std::string where = cat(file, ": tensor '", name, "'");
  SDG_CHECK(value.is_object(), where, ": must be described by an object, got ", value.type_name());
  for (const auto& [key, unused] : value.items()) {
    SDG_CHECK(key == "dtype" || key == "shape" || key == "data_offsets", where, ": unknown field '", key, "'");
  }
  TensorEntry entry;
  entry.name = name;

  const auto& dtype = field(value, "dtype", where);
  SDG_CHECK(dtype.is_string(), where, ": dtype must be a string, got ", dtype.type_name());
  const auto* known = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const auto& row) { return row.first == dtype.get_ref<const std::string&>(); });
  const auto* packed = std::find_if(kPacked.begin(), kPacked.end(),
                                    [&](const auto& row) { return row.first == dtype.get_ref<const std::string&>(); });
  if (known != kDtypes.end()) {
    entry.dtype = known->second;
  } else {
    entry.dtype = at::ScalarType::Undefined;
    entry.unread = packed != kPacked.end()
                       ? cat("is of the type ", packed->first, ", which LibTorch cannot compute with")
                       : cat("is of the unknown type ", dtype.dump(-1, ' ', true).substr(0, 40));
  }

  const auto& shape = field(value, "shape", where);
  SDG_CHECK(shape.is_array(), where, ": shape must be an array, got ", shape.type_name());
  for (const auto& extent : shape) {
    SDG_CHECK(extent.is_number_unsigned() && extent.get<uint64_t>() <= std::numeric_limits<int64_t>::max(), where,
              ": shape must hold whole numbers from 0, got ", extent.dump());
    entry.shape.push_back(extent.get<int64_t>());
  }

  const auto& offsets = field(value, "data_offsets", where);
  SDG_CHECK(
      offsets.is_array() && offsets.size() == 2 && offsets[0].is_number_unsigned() && offsets[1].is_number_unsigned(),
      where, ": data_offsets must be two whole numbers, got ", offsets.dump());
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  SDG_CHECK(entry.begin <= entry.end, where, ": data_offsets go backwards: ", offsets.dump());

  if (known == kDtypes.end() && packed == kPacked.end()) return entry;  // how large its elements are, nobody knows
  const uint64_t expected =
      packed != kPacked.end() ? byte_count(entry.shape, packed->second, where) : byte_count(entry, where);
  SDG_CHECK(entry.end - entry.begin == expected, where, ": ", dtype.get<std::string>(), " ", to_string(entry.shape),
            " takes ", expected, " bytes, data_offsets span ", entry.end - entry.begin);
  return entry;
}

// Sorted by offset, tensors must tile [0, size) : no overlap, no hole, nothing left over.
void check_tiling(std::vector<TensorEntry>& entries, uint64_t size, uint64_t start, const std::string& where) {
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  uint64_t at = 0;
  for (const auto& entry : entries) {
    SDG_CHECK(entry.begin >= at, where, ": tensor '", entry.name, "' overlaps the one before it: it begins at ",
              entry.begin, ", that one ends at ", at);
    SDG_CHECK(entry.begin == at, where, ": hole before tensor '", entry.name, "': bytes ", at, " to ", entry.begin,
              " belong to no tensor");
    at = entry.end;
  }
  SDG_CHECK(at <= size, where, ": truncated: expected ", at > UINT64_MAX - start ? at : start + at,
            " bytes, the file has ", start + size);
  SDG_CHECK(at == size, where, ": ", size - at, " bytes after the last tensor belong to nothing: expected ", start + at,
            " bytes, the file has ", start + size);
}

}  // namespace

TensorHeader parse_tensor_header(std::span<const std::byte> file, const std::string& where) {
  SDG_CHECK(file.size() >= kLengthBytes, where, ": truncated: expected at least ", kLengthBytes,
            " bytes, the file has ", file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  const bool may_be = all.substr(kLengthBytes).starts_with('{') || all.size() == kLengthBytes;
  if (const auto kind = may_be ? "" : io::what_it_is(all.substr(0, 1024), file.size()); !kind.empty())
    throw Error(cat(where, ": not a safetensors file", kind));
  SDG_CHECK(length <= kMaxHeader, where, ": header length is ", length, " bytes, the limit is ", kMaxHeader,
            ": is this a safetensors file?");
  SDG_CHECK(length <= file.size() - kLengthBytes, where, ": truncated: expected at least ", kLengthBytes + length,
            " bytes (header), the file has ", file.size());
  const auto text = all.substr(kLengthBytes, length);
  SDG_CHECK(!text.empty() && text.front() == '{', where, ": the header must be a JSON object that begins with {");

  const json root = parse_without_duplicates(text, where);
  TensorHeader header;
  header.data_start = kLengthBytes + length;
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      header.metadata = parse_metadata(value, where);
    } else {
      header.entries.push_back(parse_entry(name, value, where));
    }
  }
  check_tiling(header.entries, file.size() - header.data_start, header.data_start, where);
  return header;
}

std::string tensor_header_bytes(std::vector<TensorEntry>& entries, const std::map<std::string, std::string>& metadata,
                                const std::string& where) {
  const auto width = [](const TensorEntry& entry) { return c10::elementSize(entry.dtype); };
  std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) { return width(a) > width(b); });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, text] : metadata) header["__metadata__"][key] = to_utf8(text);
  uint64_t at = 0;
  for (auto& entry : entries) {
    SDG_CHECK(entry.name != "__metadata__", where, ": a tensor cannot be called __metadata__");
    SDG_CHECK(!tensor_dtype_name(entry.dtype).empty(), where, ": tensor '", entry.name,
              "': safetensors have no dtype for ", c10::toString(entry.dtype));
    entry.begin = at;
    entry.end = at + byte_count(entry, where);
    header[entry.name] = {
        {"dtype", tensor_dtype_name(entry.dtype)}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
    at = entry.end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat(where, ": names of tensors must be UTF-8: ", error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  SDG_CHECK(text.size() <= kMaxHeader, where, ": a header of ", text.size(), " bytes, the limit is ", kMaxHeader);
  const uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + text;
}

std::string_view tensor_dtype_name(at::ScalarType dtype) {
  const auto* known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& row) { return row.second == dtype; });
  return known == kDtypes.end() ? std::string_view() : known->first;
}

}  // namespace sdg::tensors
