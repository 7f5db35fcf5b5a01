#include "sdg/tensors/tensor_file.h"

#include <torch/types.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"
#include "sdg/tensors/verify.h"
#include "tensors/seal_impl.h"
#include "tensors/tensor_header_impl.h"

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian and are mapped as they are");

namespace sdg::tensors {
namespace {

// Any other byte in a bool is undefined behaviour for whoever reads it.
void check_bools(std::span<const std::byte> bytes, const std::string& where) {
  const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  SDG_CHECK(bad == bytes.end(), where, ": BOOL must hold 0 or 1, got ", std::to_integer<int>(*bad));
}

Tensor view_of(const TensorEntry& entry, const std::shared_ptr<io::MappedFile>& file, uint64_t data_start,
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

std::string_view header_text(const io::MappedFile& file, const TensorHeader& header) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return {reinterpret_cast<const char*>(file.bytes().data()), header.data_start};
}

// In the order of the file.
std::vector<TensorEntry> entries_of(const TensorFile& file, const std::string& where) {
  std::vector<TensorEntry> entries;
  for (const auto& [name, tensor] : file.tensors) {
    SDG_CHECK(tensor.defined(), where, ": tensor '", name, "' is undefined");
    SDG_CHECK(tensor.layout() == at::kStrided && !tensor.is_meta(), where, ": tensor '", name,
              "' must be dense and hold data");
    entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec(), 0, 0, {}});
  }
  return entries;
}

}  // namespace

const Tensor& TensorFile::at(const std::string& name, const std::string& where) const {
  const auto found = tensors.find(name);
  const auto hidden = unread.find(name);
  SDG_CHECK(hidden == unread.end(), where, ": tensor '", name, "' cannot be read: it ", hidden->second);
  SDG_CHECK(found != tensors.end(), where, ": no tensor '", name, "' (it holds ", tensors.size(), ")");
  return found->second;
}

TensorFile read_tensors(const std::filesystem::path& path, uint64_t most_checked) {
  const std::string where = path.string();
  const io::OpenedFile opened(path);
  const auto file = std::make_shared<io::MappedFile>(opened, path);
  TensorHeader header = parse_tensor_header(file->bytes(), where);
  if (is_sealed(header.metadata) && file->bytes().size() <= most_checked)
    check_seal(opened, header, header_text(*file, header), where);
  TensorFile out;
  out.metadata = std::move(header.metadata);
  for (const auto& entry : header.entries) {
    if (entry.unread.empty()) {
      out.tensors[entry.name] = view_of(entry, file, header.data_start, where);
    } else {
      out.unread[entry.name] = entry.unread;
    }
  }
  return out;
}

bool verify_tensors(const std::filesystem::path& path) {
  const io::OpenedFile opened(path);
  const io::MappedFile file(opened, path);
  const TensorHeader header = parse_tensor_header(file.bytes(), path.string());
  if (!is_sealed(header.metadata)) return false;
  check_seal(opened, header, header_text(file, header), path.string());
  return true;
}

TensorFile read_tensor_header(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  TensorHeader header = parse_tensor_header(file.bytes(), path.string());
  TensorFile out;
  out.metadata = std::move(header.metadata);
  for (const auto& entry : header.entries) {
    if (entry.unread.empty()) {
      out.tensors[entry.name] = at::empty(entry.shape, at::TensorOptions().dtype(entry.dtype).device(at::kMeta));
    } else {
      out.unread[entry.name] = entry.unread;
    }
  }
  return out;
}

void write_tensors(const std::filesystem::path& path, const TensorFile& file) {
  auto entries = entries_of(file, path.string());
  auto metadata = file.metadata;
  const bool sealed = is_sealed(metadata);
  if (sealed) metadata[kSealKey] = Seal::blank();
  const std::string header = tensor_header_bytes(entries, metadata, path.string());
  std::optional<Seal> seal;
  if (sealed) seal.emplace(header, path.string());
  io::write_atomically(path, [&](std::ostream& out) {
    out << header;
    for (const auto& entry : entries) {  // one at a time on the CPU
      const Tensor data = file.tensors.at(entry.name).detach().to(at::kCPU).resolve_neg().resolve_conj().contiguous();
      out.write(static_cast<const char*>(data.const_data_ptr()), static_cast<std::streamsize>(data.nbytes()));
      if (seal) seal->add({static_cast<const std::byte*>(data.const_data_ptr()), data.nbytes()});
    }
    if (seal) out.seekp(static_cast<std::streamoff>(seal->place())) << seal->hex();
  });
}

}  // namespace sdg::tensors
