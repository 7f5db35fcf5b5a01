#include "sdg/io/tensor_file.h"

#include <torch/torch.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "io/posix_impl.h"
#include "io/tensor_header_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian and are mapped as they are");

namespace sdg::io {
namespace {

// Any other byte in a bool is undefined behaviour for whoever reads it.
void check_bools(std::span<const std::byte> bytes, const std::string& where) {
  const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  SDG_CHECK(bad == bytes.end(), where, ": BOOL must hold 0 or 1, got ", std::to_integer<int>(*bad));
}

Tensor view_of(const TensorEntry& entry, const std::shared_ptr<MappedFile>& file, uint64_t data_start,
               const std::string& where) {
  const auto bytes = file->bytes().subspan(data_start + entry.begin, entry.end - entry.begin);
  if (entry.dtype == at::kBool) check_bools(bytes, cat(where, ": tensor '", entry.name, "'"));
  const auto options = at::TensorOptions().dtype(entry.dtype);
  if (bytes.empty()) return at::empty(entry.shape, options);
  if (std::bit_cast<uintptr_t>(bytes.data()) % c10::elementSize(entry.dtype) != 0) {
    Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.mutable_data_ptr(), bytes.data(), bytes.size());
    return copy;
  }
  return at::from_blob(bytes.data(), entry.shape, [file](void*) {}, options);
}

struct Item {
  const std::string* name;
  const Tensor* tensor;
  size_t alignment;
};

std::vector<Item> in_file_order(const TensorFile& file, const std::string& where) {
  std::vector<Item> items;
  for (const auto& [name, tensor] : file.tensors) {
    SDG_CHECK(name != "__metadata__", where, ": a tensor cannot be called __metadata__");
    SDG_CHECK(tensor.defined(), where, ": tensor '", name, "' is undefined");
    SDG_CHECK(tensor.layout() == at::kStrided && !tensor.is_meta(), where, ": tensor '", name,
              "' must be dense and hold data");
    SDG_CHECK(!tensor_dtype_name(tensor.scalar_type()).empty(), where, ": tensor '", name,
              "': safetensors have no dtype for ", c10::toString(tensor.scalar_type()));
    items.push_back({&name, &tensor, c10::elementSize(tensor.scalar_type())});
  }
  // Widest first, so that every tensor starts on a multiple of its element size; the map has them by name already.
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.alignment > b.alignment; });
  return items;
}

std::string header_text(const std::vector<Item>& items, const TensorFile& file, const std::string& where) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t at = 0;
  for (const auto& item : items) {
    const uint64_t end = at + item.tensor->numel() * item.alignment;
    header[*item.name] = {{"dtype", tensor_dtype_name(item.tensor->scalar_type())},
                          {"shape", item.tensor->sizes().vec()},
                          {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat(where, ": names and metadata must be UTF-8: ", error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

const Tensor& TensorFile::at(const std::string& name, const std::string& where) const {
  const auto found = tensors.find(name);
  SDG_CHECK(found != tensors.end(), where, ": no tensor '", name, "' (it holds ", tensors.size(), ")");
  return found->second;
}

TensorFile read_tensors(const std::filesystem::path& path) {
  const std::string where = path.string();
  const auto file = std::make_shared<MappedFile>(path);
  TensorHeader header = parse_tensor_header(file->bytes(), where);
  TensorFile out;
  out.metadata = std::move(header.metadata);
  for (const auto& entry : header.entries) out.tensors[entry.name] = view_of(entry, file, header.data_start, where);
  return out;
}

TensorFile read_tensor_header(const std::filesystem::path& path) {
  const MappedFile file(path);
  TensorHeader header = parse_tensor_header(file.bytes(), path.string());
  TensorFile out;
  out.metadata = std::move(header.metadata);
  for (const auto& entry : header.entries) {
    out.tensors[entry.name] = at::empty(entry.shape, at::TensorOptions().dtype(entry.dtype).device(at::kMeta));
  }
  return out;
}

void write_tensors(const std::filesystem::path& path, const TensorFile& file) {
  const auto items = in_file_order(file, path.string());
  const std::string header = header_text(items, file, path.string());
  write_atomically(path, [&](std::ostream& out) {
    const uint64_t length = header.size();
    out.write(reinterpret_cast<const char*>(&length), sizeof(length));
    out << header;
    for (const auto& item : items) {  // one at a time on the CPU
      const Tensor data = item.tensor->detach().to(at::kCPU).resolve_neg().contiguous();
      out.write(static_cast<const char*>(data.const_data_ptr()), static_cast<std::streamsize>(data.nbytes()));
    }
  });
}

}  // namespace sdg::io
