// What torch.save writes for an OrderedDict of tensors.
#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <limits>
#include <ostream>
#include <vector>

#include "io/crc32_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/torch_file.h"

namespace sdg::io {
namespace {

constexpr uint64_t kAlignment = 64;         // of a member's data, as torch.save does, so that it can be mapped
constexpr uint16_t kPaddingExtra = 0x4246;  // "FB": an extra field that only fills
constexpr uint16_t kVersion = 45;           // of zip: has 64-bit sizes
constexpr uint16_t kUtf8 = 0x800;
constexpr uint16_t kDate = 0x21;  // 1 January 1980: the same tensors give the same file

template <class T>
void put(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof(T));
  out.append(bytes.data(), bytes.size());
}

const char* storage_class(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "DoubleStorage";
    case at::kFloat:
      return "FloatStorage";
    case at::kHalf:
      return "HalfStorage";
    case at::kBFloat16:
      return "BFloat16Storage";
    case at::kLong:
      return "LongStorage";
    case at::kInt:
      return "IntStorage";
    case at::kShort:
      return "ShortStorage";
    case at::kChar:
      return "CharStorage";
    case at::kByte:
      return "ByteStorage";
    case at::kBool:
      return "BoolStorage";
    case at::kComplexFloat:
      return "ComplexFloatStorage";
    case at::kComplexDouble:
      return "ComplexDoubleStorage";
    default:
      return nullptr;
  }
}

// Protocol 2.
class Pickle {
 public:
  Pickle() { text_ = "\x80\x02"; }
  void text(const std::string& value) {
    text_ += 'X';
    put(text_, static_cast<uint32_t>(value.size()));
    text_ += value;
  }
  void number(int64_t value) {
    if (value >= 0 && value <= std::numeric_limits<int32_t>::max()) {
      text_ += 'J';
      put(text_, static_cast<int32_t>(value));
    } else {
      text_ += "\x8a\x08";
      put(text_, value);
    }
  }
  void numbers(at::IntArrayRef values) {
    mark();
    for (const auto value : values) number(value);
    tuple();
  }
  void global(const std::string& module, const std::string& name) { text_ += 'c' + module + '\n' + name + '\n'; }
  void ordered_dict() {
    global("collections", "OrderedDict");
    text_ += ")R";
  }
  void mark() { text_ += '('; }
  void tuple() { text_ += 't'; }
  void op(char opcode) { text_ += opcode; }
  const std::string& bytes() const { return text_; }

 private:
  std::string text_;
};

std::string pickled(const std::map<std::string, Tensor>& tensors, const std::string& where) {
  Pickle out;
  out.ordered_dict();
  int64_t key = 0;
  for (const auto& [name, tensor] : tensors) {
    const char* type = storage_class(tensor.scalar_type());
    SDG_CHECK(type != nullptr, where, ": tensor '", name, "': torch files have no storage class for ",
              c10::toString(tensor.scalar_type()), "; write .safetensors");
    Shape strides(tensor.sizes().size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<int64_t>(tensor.size(i), 1);
    out.text(name);
    out.global("torch._utils", "_rebuild_tensor_v2");
    out.mark();
    out.mark();
    out.text("storage");
    out.global("torch", type);
    out.text(std::to_string(key++));
    out.text("cpu");
    out.number(tensor.numel());
    out.tuple();
    out.op('Q');
    out.number(0);
    out.numbers(tensor.sizes());
    out.numbers(strides);
    out.op('\x89');  // requires_grad = False
    out.ordered_dict();
    out.tuple();
    out.op('R');
    out.op('s');
  }
  out.op('.');
  return out.bytes();
}

class ZipWriter {
 public:
  explicit ZipWriter(std::ostream& out) : out_(out) {}

  void add(const std::string& name, std::span<const std::byte> data) {
    const Member member{name, crc32(data), data.size(), at_};
    std::string local;
    put(local, kLocalSignature);
    common(local, member);
    const bool is_big = member.size >= kIn64;
    const auto bare = at_ + kLocalBytes + name.size() + (is_big ? 20 : 0) + 4;
    const auto padding = static_cast<uint16_t>((kAlignment - bare % kAlignment) % kAlignment);
    put(local, static_cast<uint16_t>(name.size()));
    put(local, static_cast<uint16_t>((is_big ? 20 : 0) + 4 + padding));
    local += name;
    if (is_big) {
      put(local, kExtra64);
      put(local, uint16_t{16});
      put(local, member.size);
      put(local, member.size);
    }
    put(local, kPaddingExtra);
    put(local, padding);
    local.append(padding, 'Z');
    write(local);
    out_.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
    at_ += data.size();
    members_.push_back(member);
  }

  void finish() {
    const uint64_t begin = at_;
    for (const auto& member : members_) {
      std::string entry;
      put(entry, kCentralSignature);
      put(entry, kVersion);
      common(entry, member);
      std::string extra;  // always with 64-bit numbers where they are needed
      if (member.size >= kIn64) {
        put(extra, member.size);
        put(extra, member.size);
      }
      if (member.begin >= kIn64) put(extra, member.begin);
      put(entry, static_cast<uint16_t>(member.name.size()));
      put(entry, static_cast<uint16_t>(extra.empty() ? 0 : extra.size() + 4));
      entry.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
      put(entry, narrow(member.begin));
      entry += member.name;
      if (!extra.empty()) {
        put(entry, kExtra64);
        put(entry, static_cast<uint16_t>(extra.size()));
        entry += extra;
      }
      write(entry);
    }
    const uint64_t size = at_ - begin, end64 = at_;
    std::string end;
    put(end, kEnd64Signature);
    put(end, uint64_t{kEnd64Bytes - 12});
    put(end, kVersion);
    put(end, kVersion);
    put(end, uint64_t{0});  // disks
    put(end, uint64_t{members_.size()});
    put(end, uint64_t{members_.size()});
    put(end, size);
    put(end, begin);
    put(end, kLocator64Signature);
    put(end, uint32_t{0});
    put(end, end64);
    put(end, uint32_t{1});
    const auto count = static_cast<uint16_t>(std::min<size_t>(members_.size(), 0xffff));
    put(end, kEndSignature);
    put(end, uint32_t{0});
    put(end, count);
    put(end, count);
    put(end, narrow(size));
    put(end, narrow(begin));
    put(end, uint16_t{0});
    write(end);
  }

 private:
  struct Member {
    std::string name;
    uint32_t crc;
    uint64_t size, begin;
  };
  static uint32_t narrow(uint64_t value) { return static_cast<uint32_t>(std::min<uint64_t>(value, kIn64)); }
  static void common(std::string& out, const Member& member) {
    put(out, kVersion);
    put(out, kUtf8);
    put(out, uint16_t{0});  // stored
    put(out, uint16_t{0});
    put(out, kDate);
    put(out, member.crc);
    put(out, narrow(member.size));
    put(out, narrow(member.size));
  }
  void write(const std::string& bytes) {
    out_ << bytes;
    at_ += bytes.size();
  }

  std::ostream& out_;
  uint64_t at_ = 0;
  std::vector<Member> members_;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

void write_torch(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors) {
  const std::string where = path.string();
  for (const auto& [name, tensor] : tensors) {
    SDG_CHECK(tensor.defined() && tensor.layout() == at::kStrided && !tensor.is_meta(), where, ": tensor '", name,
              "' must be dense and hold data");
  }
  const auto pickle = pickled(tensors, where);
  write_atomically(path, [&](std::ostream& out) {
    ZipWriter zip(out);
    zip.add("archive/data.pkl", bytes_of(pickle));
    zip.add("archive/byteorder", bytes_of("little"));
    int64_t key = 0;
    for (const auto& [name, tensor] : tensors) {  // one at a time on the CPU
      const Tensor data = tensor.detach().to(at::kCPU).resolve_neg().resolve_conj().contiguous();
      zip.add(cat("archive/data/", key++), {static_cast<const std::byte*>(data.const_data_ptr()), data.nbytes()});
    }
    zip.add("archive/version", bytes_of("3\n"));
    zip.finish();
  });
}

}  // namespace sdg::io
