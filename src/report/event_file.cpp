#include "sdg/report/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <string_view>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/image/image.h"

namespace sdg::report {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPrefix = "events.out.tfevents.";

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78U : 0);
    table[i] = value;
  }
  return table;
}

// CRC-32C (Castagnoli), rotated and shifted so that the sum of data that holds sums stays useful.
uint32_t masked_crc(std::string_view data) {
  static constexpr auto kTable = crc_table();
  uint32_t value = ~0U;
  for (const char c : data) value = kTable[(value ^ static_cast<unsigned char>(c)) & 255] ^ (value >> 8);
  return std::rotr(~value, 15) + 0xA282EAD8U;
}

template <class T>
std::string little_endian(T value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  return {bytes.data(), bytes.size()};
}

std::string framed(const std::string& record) {
  const std::string length = little_endian(static_cast<uint64_t>(record.size()));
  return length + little_endian(masked_crc(length)) + record + little_endian(masked_crc(record));
}

// The four wire types of protobuf that Event needs.
enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string key(uint32_t field, Wire wire) {
  return varint(field << 3 | wire);
}
std::string integer(uint32_t field, int64_t value) {
  return key(field, kVarint) + varint(static_cast<uint64_t>(value));
}
std::string real64(uint32_t field, double value) {
  return key(field, kFixed64) + little_endian(value);
}
std::string real32(uint32_t field, float value) {
  return key(field, kFixed32) + little_endian(value);
}
std::string bytes(uint32_t field, const std::string& value) {
  return key(field, kBytes) + varint(value.size()) + value;
}

// Field numbers of tensorflow's event.proto and summary.proto.
std::string event(int64_t step, const std::string& what) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return real64(1, now.count()) + integer(2, step) + what;
}
std::string file_version() {
  return bytes(3, "brain.Event:2");
}
std::string session_start() {
  return bytes(7, integer(1, 1));
}
std::string summary(const std::string& tag, const std::string& value) {
  return bytes(5, bytes(1, bytes(1, tag) + value));
}

// TensorBoard reads the files of a folder in the order of their names, so a new one must come last, also where two
// start within a second or the clock was put back.
int64_t seconds_of_the_newest(const fs::path& folder) {
  const std::string prefix = kPrefix;
  int64_t newest = 0;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const auto name = entry.path().filename().string();
    int64_t seconds = 0;
    if (name.starts_with(prefix)) std::from_chars(name.data() + prefix.size(), name.data() + name.size(), seconds);
    newest = std::max(newest, seconds);
  }
  return newest;
}

std::string file_name(const fs::path& folder) {
  static std::atomic<int> count{0};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {'h', 'o', 's', 't'};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return cat(kPrefix, std::max<int64_t>(seconds, seconds_of_the_newest(folder) + 1), ".", host.data(), ".", ::getpid(),
             ".", count++);
}

int create(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  SDG_CHECK(!failed, path.parent_path().string(), ": cannot make the folder: ", failed.message());
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
}

}  // namespace

struct EventWriter::State {
  fs::path path;
  io::Descriptor descriptor;
  std::string pending;

  explicit State(const fs::path& folder) : path(folder / file_name(folder)), descriptor(create(path)) {
    if (descriptor.get() < 0) io::throw_errno(path, "cannot write");
  }
  void add(const std::string& record) {
    constexpr size_t kFlushBytes = 1 << 16;
    pending += framed(record);
    if (pending.size() >= kFlushBytes) drain();
  }
  void drain() {
    while (!pending.empty()) {
      const ssize_t written = ::write(descriptor.get(), pending.data(), pending.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) io::throw_errno(path, "cannot write");
      pending.erase(0, static_cast<size_t>(written));
    }
  }
};

EventWriter::EventWriter(const fs::path& folder, int64_t keep_up_to_step) : state_(std::make_unique<State>(folder)) {
  state_->add(event(0, file_version()));
  if (keep_up_to_step >= 0) state_->add(event(keep_up_to_step + 1, session_start()));
  flush();
}

EventWriter::~EventWriter() {
  try {
    flush();
  } catch (const Error&) {  // a destructor may not throw; who must know calls flush()
    state_->pending.clear();
  }
}

void EventWriter::scalar(const std::string& tag, double value, int64_t step) {
  state_->add(event(step, summary(tag, real32(2, static_cast<float>(value)))));
}

void EventWriter::image(const std::string& tag, const Tensor& image, int64_t step) {
  const std::string png = image::encode_png(image);
  const std::string proto =
      integer(1, image.size(1)) + integer(2, image.size(2)) + integer(3, image.size(0)) + bytes(4, png);
  state_->add(event(step, summary(tag, bytes(4, proto))));
}

void EventWriter::flush() {
  state_->drain();
}

const fs::path& EventWriter::path() const {
  return state_->path;
}

}  // namespace sdg::report
