#include "sdg/conditions/pseudo_labels.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/whole_number.h"
#include "sdg/data/label_gaps.h"
#include "sdg/io/digest.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace {

constexpr int64_t kMostIndices = 1 << 20;  // every index is a row of the network's table of conditions

Tensor from_safetensors(const std::filesystem::path& path) {
  const auto file = tensors::read_tensors(path);
  const auto named = file.tensors.find("ids");
  if (named != file.tensors.end()) return named->second;
  SDG_CHECK(file.tensors.size() == 1, path.string(), ": expected a tensor `ids` or only one tensor, it has ",
            file.tensors.size());
  return file.tensors.begin()->second;
}

// What stands after the last comma, semicolon or tab of a line, in quotes or not.
std::optional<int64_t> index_of(std::string_view text) {
  const auto comma = text.find_last_of(",;\t");
  if (comma != std::string_view::npos) text.remove_prefix(comma + 1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '"')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '"')) text.remove_suffix(1);
  return whole_number(text);
}

// Words, not a number that is none of ours: "1.5", "0x1f", 10^20.
bool is_heading(std::string_view line) {
  const auto last = line.substr(line.find_last_of(",;\t") + 1);
  return std::none_of(last.begin(), last.end(), [](unsigned char c) { return std::isdigit(c); });
}

Tensor from_text(const std::filesystem::path& path) {
  std::ifstream in(path);
  SDG_CHECK(in.good(), path.string(), ": cannot be read");
  std::vector<int64_t> out;
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (number == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);  // as spreadsheets write it
    if (line.empty()) continue;
    const auto index = index_of(line);
    if (!index && number == 1 && is_heading(line)) continue;
    SDG_CHECK(index, path.string(), ":", number, ": expected an index, got \"", line.substr(0, 40), "\"");
    out.push_back(*index);
  }
  return at::tensor(out, at::kLong);
}

}  // namespace

namespace {

Tensor as_stored(const std::filesystem::path& path) {
  SDG_CHECK(std::filesystem::is_regular_file(path), path.string(), ": no such file of pseudo-labels");
  const auto kind = io::lower_suffix(path);
  return kind == ".safetensors" ? from_safetensors(path) : kind == ".npy" ? tensors::read_npy(path) : from_text(path);
}

}  // namespace

int64_t count_indices(const std::filesystem::path& path) {
  const auto ids = as_stored(path);
  return ids.dim() == 1 ? ids.size(0) : 0;
}

Tensor read_indices(const std::filesystem::path& path, int64_t images) {
  auto ids = as_stored(path);
  SDG_CHECK(at::isIntegralType(ids.scalar_type(), false), path.string(), ": pseudo-labels must be integers, got ",
            ids.scalar_type());
  SDG_CHECK(ids.dim() == 1 && ids.size(0) == images, path.string(), ": expected one index for each of ", images,
            " images, got ", ids.sizes());
  const bool unsigned_64 = ids.scalar_type() == at::kUInt64;
  ids = ids.to(at::kLong).contiguous();
  SDG_CHECK(ids.numel() > 0, path.string(), ": holds no indices");
  SDG_CHECK(!unsigned_64 || ids.min().item<int64_t>() >= 0, path.string(), ": expected indices below ", kMostIndices,
            ", got one of 2^63 or more");
  SDG_CHECK(ids.min().item<int64_t>() >= 0, path.string(), ": indices must not be negative, got ",
            ids.min().item<int64_t>(), " for image ", ids.argmin().item<int64_t>());
  const auto most = ids.max().item<int64_t>();
  SDG_CHECK(most < kMostIndices, path.string(), ": expected indices below ", kMostIndices, ", got ", most,
            " for image ", ids.argmax().item<int64_t>(), ": number the clusters from 0");
  data::warn_of_gaps(ids, path.string());
  return ids;
}

std::string condition_key(const Tensor& ids) {
  return io::Digest().tensor(ids.to(at::kLong)).hex();
}

}  // namespace sdg::conditions
