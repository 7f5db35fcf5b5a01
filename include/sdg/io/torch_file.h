#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sdg/core/tensor.h"

/// Files of Python's torch.save, read without Python: the zip container (.pt, .pth) and the one before PyTorch 1.6.
/// Their pickle is a program for a stack machine. Ours knows the opcodes that make plain data and a fixed list of
/// globals (tensors, storages, dictionaries, argparse.Namespace, …), which it answers itself: nothing is imported or
/// called. Any other global is an Error that names it.
namespace sdg::io {

/// A tensor as the pickle describes it, checked against its storage: a strided view.
struct StoredTensor {
  at::ScalarType dtype{};
  Shape shape, strides;  ///< strides in elements, from 0 (an expanded dimension)
  int64_t offset = 0;    ///< of the first element in the storage, in elements
  std::string storage;   ///< key of the storage
};

/// One value of the pickle. Values may stand in several places (even inside themselves, in a hostile file).
struct TorchValue {
  using List = std::vector<const TorchValue*>;  ///< list, tuple, set
  struct Dict {
    std::vector<std::pair<std::string, const TorchValue*>> items;  ///< in file order; numbers as keys became text
    bool is_record = false;                                        ///< attributes of an object, e.g. argparse.Namespace
  };
  struct Storage {  ///< memory without a shape
    std::string key;
    at::ScalarType dtype{};
    int64_t numel = 0;
    bool typed = true;  ///< false: numel counts bytes and the dtype comes from elsewhere
  };
  struct Object {  ///< something known and harmless of which only the name is kept ("torch.float32", "numpy.ndarray")
    std::string name;
    std::string text;        ///< numpy.dtype: "f8"
    bool is_global = false;  ///< the class or function itself, not what it makes
  };
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Dict, StoredTensor, Storage, Object> data;

  template <class T>
  const T* get() const {
    return std::get_if<T>(&data);
  }
  /// The value under `key` of a dictionary (the last one), or nullptr.
  const TorchValue* find(const std::string& key) const;
};

/// A torch file mapped into memory. Opening it reads and checks the pickle and the layout; tensors are made on demand.
class TorchFile {
 public:
  /// Throws Error, one line that begins with the path: no torch file, truncated or damaged, big-endian, compressed, a
  /// TorchScript program, a global that is not on the list, a tensor that its storage cannot hold.
  explicit TorchFile(const std::filesystem::path& path);
  ~TorchFile();
  TorchFile(TorchFile&&) noexcept;
  TorchFile& operator=(TorchFile&&) noexcept;

  const TorchValue& root() const;
  /// The tensor as a view into the mapping, which lives as long as any of them; writing to it changes this process's
  /// copy only. A storage that is not aligned for its type (legacy files) is copied once.
  Tensor tensor(const StoredTensor& stored) const;
  bool is_legacy() const;  ///< the format before PyTorch 1.6

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether these first bytes are those of a zip or of a legacy torch file.
bool looks_like_zip(std::string_view first_bytes);
bool looks_like_legacy_torch(std::string_view first_bytes);

/// Writes a state dict as torch.save does (zip, OrderedDict of tensors), so that torch.load reads it with
/// weights_only=True; atomically. Tensors are moved to the CPU and made contiguous. Throws Error for a type that
/// torch's files have no storage class for (unsigned integers above 8 bits, 8-bit floats).
void write_torch(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors);

}  // namespace sdg::io
