#include "sdg/tensors/npz.h"
#include "sdg/io/file_kind.h"

#include <torch/types.h>

#include <algorithm>
#include <optional>

#include "io/posix_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/io/atomic_file.h"
#include "tensors/npy_impl.h"

namespace sdg::tensors {
namespace fs = std::filesystem;
namespace {

// DEFLATE cannot make more than 1032 bytes out of one.
constexpr uint64_t kMaxExpansion = 1032;
constexpr std::string_view kSuffix = ".npy";

struct Array {
  std::string name, where;
  io::ZipMember member;
  std::optional<io::ZipStream> stream;
  NpyHeader header;

  void read(std::span<std::byte> to) { stream->read(to); }
};

// The arrays of a zip, one after another. Members that are no arrays are passed over.
class NpzReader {
 public:
  explicit NpzReader(const fs::path& path) : where_(path.string()), file_(path) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    const std::string_view all(reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size());
    constexpr size_t kStart = 1024;
    SDG_CHECK(all.starts_with("PK"), where_, ": not a readable .npz",
              io::what_it_is(all.substr(0, kStart), all.size()));
    members_ = io::zip_members(file_.bytes(), where_);
  }

  const std::string& where() const { return where_; }

  std::optional<Array> next() {
    while (at_ < members_.size()) {
      const auto& member = members_[at_++];
      if (!member.name.ends_with(kSuffix)) continue;
      auto name = member.name.substr(0, member.name.size() - kSuffix.size());
      auto place = cat(where_, ": array '", name, "'");
      return Array{std::move(name), std::move(place), member, std::nullopt, {}};
    }
    return std::nullopt;
  }

  /// Reads the array's header; its size is checked against the zip's own before anyone allocates.
  static void open(Array& array) {
    array.stream.emplace(array.member, array.where);
    array.header = read_npy_header([&](std::span<std::byte> to) { array.read(to); }, array.where);
    if (!array.header.unread.empty()) return;
    const uint64_t expected = array.header.header_bytes + array.header.data_bytes, stored = array.member.size;
    SDG_CHECK(stored == expected, array.where, ": ", stored < expected ? "truncated" : "too long", ": expected ",
              expected, " bytes, the zip holds ", stored);
    SDG_CHECK(expected / kMaxExpansion <= array.member.packed.size(), array.where, ": truncated: ", expected,
              " bytes cannot come out of ", array.member.packed.size());
  }

 private:
  std::string where_;
  io::MappedFile file_;
  std::vector<io::ZipMember> members_;
  size_t at_ = 0;
};

Tensor read_array(Array& array) {
  Tensor out = read_npy_data(array.header, [&](std::span<std::byte> to) { array.read(to); });
  array.stream->finish();
  return out;
}

// Names an array that cannot be read: to the caller, where it wants to know, else to the log.
void pass_over(const Array& array, std::map<std::string, std::string>* unread) {
  if (unread) {
    unread->emplace(array.name, array.header.unread);
  } else {
    log::warning(cat(array.where, " is left out: it ", array.header.unread));
  }
}

}  // namespace

std::map<std::string, NpyInfo> npz_contents(const fs::path& path, std::map<std::string, std::string>* unread) {
  NpzReader reader(path);
  std::map<std::string, NpyInfo> out;
  while (auto array = reader.next()) {
    NpzReader::open(*array);
    if (array->header.unread.empty()) {
      out[array->name] = array->header.info;
    } else {
      pass_over(*array, unread);
    }
  }
  return out;
}

std::map<std::string, Tensor> read_npz(const fs::path& path, const std::function<bool(const std::string&)>& wanted,
                                       std::map<std::string, std::string>* unread) {
  NpzReader reader(path);
  std::map<std::string, Tensor> out;
  while (auto array = reader.next()) {
    if (wanted && !wanted(array->name)) continue;
    NpzReader::open(*array);
    if (array->header.unread.empty()) {
      out[array->name] = read_array(*array);
    } else {
      SDG_CHECK(!wanted || unread, array->where, ": cannot be read: it ", array->header.unread);
      pass_over(*array, unread);
    }
  }
  return out;
}

void read_npz_rows(const fs::path& path, const std::string& name, int64_t rows,
                   const std::function<void(const Tensor&)>& take) {
  SDG_CHECK(rows > 0, path.string(), ": rows must be at least 1, got ", rows);
  NpzReader reader(path);
  auto array = reader.next();
  while (array && array->name != name) array = reader.next();
  SDG_CHECK(array, path.string(), ": no array '", name, "'");
  NpzReader::open(*array);
  const auto& header = array->header;
  SDG_CHECK(header.unread.empty(), array->where, ": cannot be read: it ", header.unread);
  SDG_CHECK(!header.info.shape.empty(), array->where, ": expected rows, got a scalar");
  const int64_t count = header.info.shape[0];
  const Tensor whole = header.is_fortran ? read_array(*array) : Tensor();  // its rows lie in pieces all over the file
  for (int64_t first = 0; first < count; first += rows) {
    const auto some = std::min(rows, count - first);
    take(whole.defined() ? whole.narrow(0, first, some)
                         : read_npy_rows(header, some, [&](std::span<std::byte> to) { array->read(to); }));
  }
  if (!whole.defined()) array->stream->finish();
}

void write_npz(const fs::path& path, const std::map<std::string, Tensor>& arrays) {
  for (const auto& [name, array] : arrays) {
    SDG_CHECK(array.defined() && array.layout() == at::kStrided && !array.is_meta(), path.string(), ": array '", name,
              "' must be dense and hold data");
  }
  io::write_atomically(path, [&](std::ostream& out) {
    io::ZipWriter zip(out);
    for (const auto& [name, array] : arrays) {
      const Tensor data = array.detach().to(at::kCPU).resolve_neg().resolve_conj().contiguous();
      const std::string header = npy_header_text(data, path.string());
      zip.add(cat(name, kSuffix), {std::as_bytes(std::span(header)),
                                   {static_cast<const std::byte*>(data.const_data_ptr()), data.nbytes()}});
    }
    zip.finish();
  });
}

}  // namespace sdg::tensors
