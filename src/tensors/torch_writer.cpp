// What torch.save writes for an OrderedDict of tensors.
#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <limits>
#include <ostream>
#include <vector>

#include "io/zip_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"
#include "sdg/tensors/torch_file.h"

namespace sdg::tensors {
namespace {

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

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

void write_torch(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                 const std::map<std::string, std::string>& notes) {
  const std::string where = path.string();
  for (const auto& [name, tensor] : tensors) {
    SDG_CHECK(tensor.defined() && tensor.layout() == at::kStrided && !tensor.is_meta(), where, ": tensor '", name,
              "' must be dense and hold data");
  }
  const auto pickle = pickled(tensors, where);
  io::write_atomically(path, [&](std::ostream& out) {
    io::ZipWriter zip(out);
    zip.add("archive/data.pkl", {bytes_of(pickle)});
    zip.add("archive/byteorder", {bytes_of("little")});
    int64_t key = 0;
    for (const auto& [name, tensor] : tensors) {  // one at a time on the CPU
      const Tensor data = tensor.detach().to(at::kCPU).resolve_neg().resolve_conj().contiguous();
      zip.add(cat("archive/data/", key++), {{static_cast<const std::byte*>(data.const_data_ptr()), data.nbytes()}});
    }
    for (const auto& [name, text] : notes) zip.add("archive/extra/" + name, {bytes_of(text)});
    zip.add("archive/version", {bytes_of("3\n")});
    zip.finish();
  });
}

}  // namespace sdg::tensors
