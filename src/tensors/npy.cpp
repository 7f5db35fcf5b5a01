#include <torch/types.h>

#include <algorithm>
#include <array>
#include <utility>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"
#include "sdg/io/random_access_file.h"
#include "tensors/npy_impl.h"

namespace sdg::tensors {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr uint32_t kMaxDictionary = 1 << 16;  // bytes

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 14> kTypes{{
    {"b1", at::kBool},
    {"u1", at::kByte},
    {"i1", at::kChar},
    {"u2", at::kUInt16},
    {"u4", at::kUInt32},
    {"u8", at::kUInt64},
    {"i2", at::kShort},
    {"i4", at::kInt},
    {"i8", at::kLong},
    {"f2", at::kHalf},
    {"f4", at::kFloat},
    {"f8", at::kDouble},
    {"c8", at::kComplexFloat},
    {"c16", at::kComplexDouble},
}};

std::string why_unread(std::string_view description, std::string_view kind) {
  const auto quoted = cat(" (dtype '", description.substr(0, 40), "')");
  if (kind.starts_with('O')) return cat("holds Python objects, which are pickled code", quoted);
  if (kind.starts_with('U') || kind.starts_with('S') || kind.starts_with('a')) return cat("holds text", quoted);
  if (kind.starts_with('M') || kind.starts_with('m')) return cat("holds dates", quoted);
  if (kind.starts_with('V')) return cat("holds raw bytes without a type", quoted);
  return cat("is of a type that is not read", quoted, ": expected bool, integer, float or complex");
}

// Just as much of Python's literals as NumPy writes into a header.
class Dictionary {
 public:
  Dictionary(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  void expect(char c) { SDG_CHECK(accept(c), where_, ": damaged .npy header: expected ", c, " at character ", at_); }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view quoted() {
    skip_space();
    SDG_CHECK(at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"'), where_,
              ": damaged .npy header: expected a string at character ", at_);
    const size_t end = text_.find(text_[at_], at_ + 1);
    SDG_CHECK(end != std::string_view::npos, where_, ": damaged .npy header: a string does not end");
    const auto out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return out;
  }
  bool boolean() {
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      skip_space();
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    throw Error(cat(where_, ": damaged .npy header: expected True or False at character ", at_));
  }
  // Past a list, whatever is in it; false where there is none.
  bool skip_list() {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != '[') return false;
    size_t depth = 0;
    do {
      SDG_CHECK(at_ < text_.size(), where_, ": damaged .npy header: a list does not end");
      const char c = text_[at_];
      if (c == '\'' || c == '"') {
        quoted();
        continue;
      }
      depth += c == '[' ? 1 : 0;
      depth -= c == ']' ? 1 : 0;
      ++at_;
    } while (depth > 0);
    return true;
  }
  int64_t whole() {
    skip_space();
    int64_t value = 0;
    const size_t first = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      SDG_CHECK(!__builtin_mul_overflow(value, 10, &value) && !__builtin_add_overflow(value, text_[at_] - '0', &value),
                where_, ": damaged .npy header: number too large");
    }
    SDG_CHECK(at_ > first, where_, ": damaged .npy header: expected a whole number at character ", at_);
    accept('L');  // Python 2
    return value;
  }
  void expect_end() {
    skip_space();
    SDG_CHECK(at_ == text_.size(), where_, ": damaged .npy header: text after the dictionary");
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

Shape parse_shape(Dictionary& text) {
  Shape out;
  text.expect('(');
  while (!text.accept(')')) {
    out.push_back(text.whole());
    if (!text.accept(',')) {
      text.expect(')');
      break;
    }
  }
  return out;
}

uint64_t byte_count(const NpyInfo& info, const std::string& where) {
  auto span = static_cast<int64_t>(c10::elementSize(info.dtype));
  bool empty = false;
  for (const int64_t extent : info.shape) {
    SDG_CHECK(!__builtin_mul_overflow(span, std::max<int64_t>(extent, 1), &span), where,
              ": the size of its shape overflows: ", to_string(info.shape));
    empty = empty || extent == 0;
  }
  return empty ? 0 : static_cast<uint64_t>(span);
}

// Where the first index runs fastest, the bytes are those of the transposed array.
Shape stored_shape(const NpyHeader& header) {
  Shape out = header.info.shape;
  if (header.is_fortran) std::reverse(out.begin(), out.end());
  return out;
}

Tensor read_shaped(const Shape& shape, const NpyHeader& header, const ReadBytes& read) {
  const bool is_bool = header.info.dtype == at::kBool;  // any other byte than 0 and 1 would be undefined behaviour
  Tensor out = at::empty(shape, is_bool ? at::kByte : header.info.dtype);
  const std::span<std::byte> bytes(static_cast<std::byte*>(out.mutable_data_ptr()), out.nbytes());
  read(bytes);
  if (header.is_big_endian) swap_bytes(bytes, header.info.dtype);
  return is_bool ? out.ne(0) : out;
}

}  // namespace

NpyType npy_type(std::string_view description) {
  NpyType out;
  auto kind = description;
  const bool has_order = !kind.empty() && std::string_view("<>=|").find(kind.front()) != std::string_view::npos;
  if (has_order) kind.remove_prefix(1);
  const auto* known = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& row) { return row.first == kind; });
  if (known == kTypes.end()) {
    out.unread = why_unread(description, kind);
    return out;
  }
  out.dtype = known->second;
  out.is_big_endian = description.front() == '>' && c10::elementSize(out.dtype) > 1;
  return out;
}

void swap_bytes(std::span<std::byte> data, at::ScalarType dtype) {
  const auto width = c10::elementSize(dtype) / (c10::isComplexType(dtype) ? 2 : 1);
  for (; data.size() >= width; data = data.subspan(width))
    std::reverse(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(width));
}

Tensor read_npy_data(const NpyHeader& header, const ReadBytes& read) {
  const Tensor data = read_shaped(stored_shape(header), header, read);
  if (!header.is_fortran) return data;
  Shape order(header.info.shape.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(order.size() - 1 - i);
  return data.permute(order).contiguous();
}

Tensor read_npy_rows(const NpyHeader& header, int64_t rows, const ReadBytes& read) {
  Shape shape = header.info.shape;
  shape.at(0) = rows;
  return read_shaped(shape, header, read);
}

NpyHeader parse_npy_dictionary(std::string_view text, const std::string& where) {
  Dictionary dictionary(text, where);
  NpyHeader out;
  std::array<bool, 3> seen{};
  const auto once = [&](size_t i, std::string_view key) {
    SDG_CHECK(!std::exchange(seen[i], true), where, ": damaged .npy header: ", key, " comes twice");
  };
  dictionary.expect('{');
  while (!dictionary.accept('}')) {
    const auto key = dictionary.quoted();
    dictionary.expect(':');
    if (key == "descr") {
      once(0, key);
      if (dictionary.skip_list()) {
        out.unread = "is an array of records";
      } else {
        auto type = npy_type(dictionary.quoted());
        out.info.dtype = type.dtype;
        out.is_big_endian = type.is_big_endian;
        out.unread = std::move(type.unread);
      }
    } else if (key == "fortran_order") {
      once(1, key);
      out.is_fortran = dictionary.boolean();
    } else if (key == "shape") {
      once(2, key);
      out.info.shape = parse_shape(dictionary);
    } else {
      throw Error(cat(where, ": damaged .npy header: unknown key '", key, "'"));
    }
    if (!dictionary.accept(',')) {
      dictionary.expect('}');
      break;
    }
  }
  dictionary.expect_end();
  SDG_CHECK(seen[0] && seen[1] && seen[2], where, ": damaged .npy header: expected descr, fortran_order and shape");
  out.is_fortran = out.is_fortran && out.info.shape.size() > 1;
  if (out.unread.empty()) out.data_bytes = byte_count(out.info, where);
  return out;
}

NpyHeader read_npy_header(const ReadBytes& read, const std::string& where) {
  std::array<char, 8> start{};
  read(std::as_writable_bytes(std::span(start)));
  SDG_CHECK(std::string_view(start.data(), kMagic.size()) == kMagic, where, ": not an .npy array");
  const int version = static_cast<unsigned char>(start[6]);
  SDG_CHECK(version >= 1 && version <= 3, where, ": .npy version ", version, " is not known");

  std::array<unsigned char, 4> length_bytes{};
  const size_t width = version == 1 ? 2 : 4;
  read(std::as_writable_bytes(std::span(length_bytes)).first(width));
  uint32_t length = 0;
  for (size_t i = 0; i < width; ++i) length |= static_cast<uint32_t>(length_bytes[i]) << (8 * i);
  SDG_CHECK(length <= kMaxDictionary, where, ": .npy header of ", length, " bytes, the limit is ", kMaxDictionary);
  std::string text(length, '\0');
  read(std::as_writable_bytes(std::span(text)));

  NpyHeader out = parse_npy_dictionary(text, where);
  out.header_bytes = start.size() + width + length;
  return out;
}

std::string npy_header_text(const Tensor& array, const std::string& where) {
  const auto* known =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& row) { return row.second == array.scalar_type(); });
  SDG_CHECK(known != kTypes.end(), where, ": NumPy has no dtype for ", array.scalar_type());
  std::string shape;
  for (const int64_t extent : array.sizes()) shape += cat(shape.empty() ? "" : " ", extent, ",");
  if (array.dim() > 1) shape.pop_back();
  std::string text = cat("{'descr': '", array.element_size() > 1 ? "<" : "|", known->first,
                         "', 'fortran_order': False, 'shape': (", shape, "), }");
  constexpr size_t kBefore = 10;  // magic, version, length
  text.resize((kBefore + text.size() + 1 + 63) / 64 * 64 - kBefore, ' ');
  text.back() = '\n';
  SDG_CHECK(text.size() <= 0xFFFF, where, ": too many dimensions for an .npy header: ", array.dim());
  const std::array<char, 4> rest{1, 0, static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return std::string(kMagic) + std::string(rest.data(), rest.size()) + text;
}

Tensor read_npy(const std::filesystem::path& path) {
  const io::RandomAccessFile file(path);
  const std::string where = path.string();
  uint64_t at = 0;
  const ReadBytes read = [&](std::span<std::byte> out) {
    SDG_CHECK(out.size() <= file.size() - at, where, ": truncated .npy: expected at least ", at + out.size(),
              " bytes, the file has ", file.size());
    file.read_into(at, out);
    at += out.size();
  };
  constexpr uint64_t kStart = 1024;
  const auto start = file.read(0, std::min(file.size(), kStart));
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  const bool may_be = text.substr(0, kMagic.size()) == kMagic.substr(0, text.size());
  SDG_CHECK(may_be, where, ": not an .npy array", io::what_it_is(text, file.size()));
  const NpyHeader header = read_npy_header(read, where);
  SDG_CHECK(header.unread.empty(), where, ": cannot be read: it ", header.unread);
  SDG_CHECK(file.size() - at == header.data_bytes, where, ": ",
            file.size() - at < header.data_bytes ? "truncated" : "too long", ": expected ", header.header_bytes, " + ",
            header.data_bytes, " bytes, the file has ", file.size());
  return read_npy_data(header, read);
}

}  // namespace sdg::tensors
