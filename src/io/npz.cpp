#include "sdg/io/npz.h"

#include <archive.h>
#include <archive_entry.h>
#include <torch/torch.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <set>

#include "io/npy_impl.h"
#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"

namespace sdg::io {
namespace fs = std::filesystem;
namespace {

struct Free {
  void operator()(archive* a) const { archive_free(a); }
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Archive = std::unique_ptr<archive, Free>;

std::string reason(archive* a) {
  const char* text = archive_error_string(a);
  return text ? text : "unknown error";
}

// DEFLATE cannot make more than 1032 bytes out of one.
constexpr uint64_t kMaxExpansion = 1032;

// Goes through the members of a zip in order.
class NpzReader {
 public:
  explicit NpzReader(const fs::path& path) : where_(path.string()), file_size_(OpenedFile(path).size) {
    SDG_CHECK(archive_, where_, ": cannot start libarchive");
    // By its central directory only: read as a stream, a zip cut between two members would look whole.
    archive_read_support_format_zip_seekable(archive_.get());
    SDG_CHECK(archive_read_open_filename(archive_.get(), path.c_str(), 1 << 20) == ARCHIVE_OK, where_,
              ": not a readable .npz: ", reason(archive_.get()));
  }

  /// The name of the next array (without ".npy"), or nothing at the end. Members that are no arrays are passed over.
  std::optional<std::string> next() {
    while (true) {
      const int status = archive_read_next_header(archive_.get(), &entry_);
      if (status == ARCHIVE_EOF) return std::nullopt;
      SDG_CHECK(status == ARCHIVE_OK || status == ARCHIVE_WARN, where_, ": damaged .npz: ", reason(archive_.get()));
      const char* given = archive_entry_pathname_utf8(entry_);
      if (!given) given = archive_entry_pathname(entry_);
      std::string name = given ? given : "";
      if (!name.ends_with(".npy")) continue;
      name.resize(name.size() - 4);
      SDG_CHECK(seen_.insert(name).second, where_, ": damaged .npz: array '", name, "' comes twice");
      member_ = cat(where_, ": array '", name, "'");
      return name;
    }
  }

  /// Of the member next() came to; its size is checked against the zip's own before anyone allocates.
  NpyHeader header() {
    const NpyHeader out = read_npy_header([this](std::span<std::byte> to) { read(to); }, member_);
    const uint64_t expected = out.header_bytes + out.data_bytes;
    if (archive_entry_size_is_set(entry_)) {
      const auto stored = static_cast<uint64_t>(archive_entry_size(entry_));
      SDG_CHECK(stored == expected, member_, ": ", stored < expected ? "truncated" : "too long", ": expected ",
                expected, " bytes, the zip holds ", stored);
    }
    SDG_CHECK(expected / kMaxExpansion <= file_size_, member_, ": truncated: ", expected,
              " bytes cannot come out of a file of ", file_size_);
    return out;
  }

  void read(std::span<std::byte> to) {
    while (!to.empty()) {
      const la_ssize_t got = archive_read_data(archive_.get(), to.data(), to.size());
      SDG_CHECK(got >= 0, member_, ": damaged .npz: ", reason(archive_.get()));
      SDG_CHECK(got > 0, member_, ": truncated: ", to.size(), " more bytes expected");
      to = to.subspan(static_cast<size_t>(got));
    }
  }

  /// After the last byte of a member: sees that there is none left, which is also when the checksum is compared.
  void finish_member() {
    char more = 0;
    const la_ssize_t got = archive_read_data(archive_.get(), &more, 1);
    SDG_CHECK(got >= 0, member_, ": damaged .npz: ", reason(archive_.get()));
    SDG_CHECK(got == 0, member_, ": too long: bytes after the array");
  }

  const std::string& where() const { return where_; }
  const std::string& member() const { return member_; }

 private:
  std::string where_, member_;
  uint64_t file_size_;
  Archive archive_{archive_read_new()};
  archive_entry* entry_ = nullptr;
  std::set<std::string> seen_;
};

Tensor read_array(NpzReader& reader, const NpyInfo& info, int64_t rows) {
  Shape shape = info.shape;
  if (rows >= 0) shape[0] = rows;
  Tensor out = at::empty(shape, info.dtype);
  reader.read({static_cast<std::byte*>(out.mutable_data_ptr()), out.nbytes()});
  return out;
}

// Lets exceptions of the stream wait until libarchive's C code is left.
struct Sink {
  std::ostream& out;
  std::exception_ptr failure;

  static la_ssize_t write(archive* /*unused*/, void* self, const void* data, size_t count) {
    auto& sink = *static_cast<Sink*>(self);
    try {
      sink.out.write(static_cast<const char*>(data), static_cast<std::streamsize>(count));
      return static_cast<la_ssize_t>(count);
    } catch (...) {
      sink.failure = std::current_exception();
      return -1;
    }
  }
};

void write_zip(std::ostream& out, const std::map<std::string, Tensor>& arrays, const std::string& where) {
  Sink sink{out, nullptr};
  const Archive zip(archive_write_new());
  const auto check = [&](la_ssize_t status) {
    if (sink.failure) std::rethrow_exception(sink.failure);
    SDG_CHECK(status >= ARCHIVE_WARN, where, ": cannot write the zip: ", reason(zip.get()));
  };
  archive_write_set_format_zip(zip.get());
  check(archive_write_zip_set_compression_store(zip.get()));
  archive_write_set_bytes_per_block(zip.get(), 0);
  check(archive_write_open(zip.get(), &sink, nullptr, &Sink::write, nullptr));
  for (const auto& [name, array] : arrays) {
    const Tensor data = array.detach().to(at::kCPU).resolve_neg().contiguous();
    const std::string header = npy_header_text(data, where);
    const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), (name + ".npy").c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 315532800, 0);  // 1980: the same arrays give the same bytes
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(header.size() + data.nbytes()));
    check(archive_write_header(zip.get(), entry.get()));
    check(archive_write_data(zip.get(), header.data(), header.size()));
    check(archive_write_data(zip.get(), data.const_data_ptr(), data.nbytes()));
  }
  check(archive_write_close(zip.get()));
}

}  // namespace

std::map<std::string, NpyInfo> npz_contents(const fs::path& path) {
  NpzReader reader(path);
  std::map<std::string, NpyInfo> out;
  while (const auto name = reader.next()) out[*name] = reader.header().info;
  return out;
}

std::map<std::string, Tensor> read_npz(const fs::path& path, const std::function<bool(const std::string&)>& wanted) {
  NpzReader reader(path);
  std::map<std::string, Tensor> out;
  while (const auto name = reader.next()) {
    if (wanted && !wanted(*name)) continue;
    out[*name] = read_array(reader, reader.header().info, -1);
    reader.finish_member();
  }
  return out;
}

void read_npz_rows(const fs::path& path, const std::string& name, int64_t rows,
                   const std::function<void(const Tensor&)>& take) {
  SDG_CHECK(rows > 0, path.string(), ": rows must be at least 1, got ", rows);
  NpzReader reader(path);
  std::optional<std::string> found;
  do {
    found = reader.next();
    SDG_CHECK(found, path.string(), ": no array '", name, "'");
  } while (*found != name);
  const NpyInfo info = reader.header().info;
  SDG_CHECK(!info.shape.empty(), reader.member(), ": expected rows, got a scalar");
  for (int64_t first = 0; first < info.shape[0]; first += rows) {
    take(read_array(reader, info, std::min(rows, info.shape[0] - first)));
  }
  reader.finish_member();
}

void write_npz(const fs::path& path, const std::map<std::string, Tensor>& arrays) {
  for (const auto& [name, array] : arrays) {
    SDG_CHECK(array.defined() && array.layout() == at::kStrided && !array.is_meta(), path.string(), ": array '", name,
              "' must be dense and hold data");
  }
  write_atomically(path, [&](std::ostream& out) { write_zip(out, arrays, path.string()); });
}

}  // namespace sdg::io
