#include "sdg/tensors/tensor_stream.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "tensors/seal_impl.h"
#include "tensors/tensor_header_impl.h"

namespace sdg::tensors {
namespace {

namespace fs = std::filesystem;

void write_at(int descriptor, const fs::path& path, const void* data, uint64_t size, uint64_t offset) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(descriptor, bytes, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) io::throw_errno(path, "cannot write");
    bytes += written;
    size -= static_cast<uint64_t>(written);
    offset += static_cast<uint64_t>(written);
  }
}

std::string read_at(int descriptor, const fs::path& path, uint64_t size, uint64_t offset) {
  std::string bytes(size, '\0');
  for (uint64_t got = 0; got < size;) {
    const ssize_t count = ::pread(descriptor, bytes.data() + got, size - got, static_cast<off_t>(offset + got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) io::throw_errno(path, "cannot read");
    if (count == 0) return "";
    got += static_cast<uint64_t>(count);
  }
  return bytes;
}

}  // namespace

fs::path TensorStream::partial_path(const fs::path& path) {
  return fs::path(path.string() + ".partial");
}

struct TensorStream::State {
  fs::path path, partial;
  std::map<std::string, TensorEntry> entries;
  std::vector<TensorEntry> in_order;  // of their bytes
  std::string header;
  bool sealed;
  uint64_t data_start = 0, data_end = 0;  // of the file; the count of done rows stands behind until it is finished
  int64_t done = 0;
  bool finished = false;
  io::Descriptor descriptor;

  State(const fs::path& target, const std::map<std::string, Slot>& tensors, std::map<std::string, std::string> metadata)
      : path(target),
        partial(partial_path(target)),
        sealed(is_sealed(metadata)),
        descriptor(::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (descriptor.get() < 0) io::throw_errno(partial, "cannot write");
    SDG_CHECK(::flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0, partial.string(), ": another process is writing it");
    if (sealed) metadata[kSealKey] = Seal::blank();
    for (const auto& [name, slot] : tensors) in_order.push_back({name, slot.dtype, slot.shape});
    header = tensor_header_bytes(in_order, metadata, path.string());
    data_start = header.size();
    data_end = data_start + (in_order.empty() ? 0 : in_order.back().end);
    for (const auto& entry : in_order) entries.emplace(entry.name, entry);
    if (!go_on()) begin();
  }
  // Without a row there is nothing to go on with, and nothing that could be in another's way.
  ~State() {
    if (done == 0 && !finished) ::unlink(partial.c_str());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  bool go_on() {
    const off_t size = ::lseek(descriptor.get(), 0, SEEK_END);
    if (size <= 0) return false;
    const std::string found = read_at(descriptor.get(), partial, header.size(), 0);
    if (!found.empty() && found.find_first_not_of('\0') == std::string::npos) return false;  // died in begin()
    const bool same = static_cast<uint64_t>(size) == data_end + sizeof(done) && found == header;
    SDG_CHECK(same, partial.string(),
              " is of other content: it was begun with other images or options; remove it or choose another file");
    const auto bytes = read_at(descriptor.get(), partial, sizeof(done), data_end);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&done));  // NOLINT(*-reinterpret-cast)
    return true;
  }

  void begin() {
    // The header last: a file without it is begun anew.
    if (::ftruncate(descriptor.get(), static_cast<off_t>(data_end + sizeof(done))) != 0)
      io::throw_errno(partial, "cannot write");
    write_at(descriptor.get(), partial, header.data(), header.size(), 0);
  }

  // Last of all, so that until then the file is one to go on with.
  void put_seal() const {
    Seal seal(header, partial.string());
    for (const auto& entry : in_order) {
      for (auto at = entry.begin; at < entry.end; at += Seal::kPiece) {
        const auto bytes =
            read_at(descriptor.get(), partial, std::min<uint64_t>(Seal::kPiece, entry.end - at), data_start + at);
        seal.add(std::as_bytes(std::span(bytes)));
      }
    }
    const auto digits = seal.hex();
    sync();
    write_at(descriptor.get(), partial, digits.data(), digits.size(), seal.place());
  }

  void sync() const {
    if (::fdatasync(descriptor.get()) != 0) io::throw_errno(partial, "cannot write");
  }
};

TensorStream::TensorStream(const fs::path& path, const std::map<std::string, Slot>& tensors,
                           const std::map<std::string, std::string>& metadata)
    : state_(std::make_unique<State>(path, tensors, metadata)) {}

TensorStream::~TensorStream() = default;

int64_t TensorStream::rows_done() const {
  return state_->done;
}

void TensorStream::write(const std::string& name, int64_t first, const Tensor& rows) {
  const auto found = state_->entries.find(name);
  SDG_ASSERT(found != state_->entries.end(), state_->path.string(), ": no tensor '", name, "' was declared");
  const TensorEntry& entry = found->second;
  const bool fits = rows.scalar_type() == entry.dtype && rows.dim() == static_cast<int64_t>(entry.shape.size()) &&
                    rows.dim() > 0 && first >= 0 && first + rows.size(0) <= entry.shape[0] &&
                    std::equal(entry.shape.begin() + 1, entry.shape.end(), rows.sizes().begin() + 1);
  SDG_ASSERT(fits, state_->path.string(), ": rows ", first, " to ", first + (rows.dim() > 0 ? rows.size(0) : 0),
             " of '", name, "': ", rows.scalar_type(), " ", to_string(rows.sizes()), " do not fit ",
             c10::toString(entry.dtype), " ", to_string(entry.shape));
  if (rows.numel() == 0) return;
  const Tensor data = rows.detach().to(at::kCPU).resolve_neg().resolve_conj().contiguous();
  const uint64_t row = (entry.end - entry.begin) / static_cast<uint64_t>(entry.shape[0]);
  write_at(state_->descriptor.get(), state_->partial, data.const_data_ptr(), data.nbytes(),
           state_->data_start + entry.begin + static_cast<uint64_t>(first) * row);
}

void TensorStream::commit(int64_t rows_done) {
  state_->sync();
  write_at(state_->descriptor.get(), state_->partial, &rows_done, sizeof(rows_done), state_->data_end);
  state_->done = rows_done;
}

void TensorStream::finish() {
  if (state_->sealed) state_->put_seal();
  if (::ftruncate(state_->descriptor.get(), static_cast<off_t>(state_->data_end)) != 0 ||
      ::fsync(state_->descriptor.get()) != 0 || ::rename(state_->partial.c_str(), state_->path.c_str()) != 0) {
    io::throw_errno(state_->path, "cannot write");
  }
  state_->finished = true;
}

}  // namespace sdg::tensors
