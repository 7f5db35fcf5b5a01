#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "sdg/core/tensor.h"

/// Files of Python's torch.save, read without Python: the zip container (.pt, .pth) and the one before PyTorch 1.6; and
/// bare pickles (pickle.dump, protocol 2 and newer), whose arrays are NumPy's.
/// Their pickle is a program for a stack machine. Ours answers the globals that make plain data (tensors, storages,
/// dictionaries, NumPy's arrays, …) itself; nothing is imported or called. An object of any other class is a record of
/// its attributes, and what any other function would have made is only a name: a tensor among those is told as unread,
/// never left out. A call that would run something in Python (os.system, eval, …) is an Error that names it.
namespace sdg::tensors {

/// A tensor as the pickle describes it, checked against its storage: a strided view.
struct StoredTensor {
  at::ScalarType dtype{};
  Shape shape, strides;                            ///< strides in elements, from 0 (an expanded dimension)
  int64_t offset = 0;                              ///< of the first element in the storage, in elements
  std::string storage;                             ///< key of the storage
  bool is_negative = false, is_conjugate = false;  ///< the storage holds the negated / conjugated elements
  const std::string* bytes = nullptr;              ///< of a NumPy array, which stand in the pickle: there is no storage
  bool is_big_endian = false;                      ///< these bytes
};

/// One value of the pickle. Values may stand in several places (even inside themselves, in a hostile file).
struct TorchValue {
  using List = std::vector<const TorchValue*>;  ///< list, tuple, set
  struct Dict {
    std::vector<std::pair<std::string, const TorchValue*>> items;  ///< in file order; numbers as keys became text
    bool is_record = false;                                        ///< an object's attributes and items
    bool is_module = false;                ///< a pickled torch.nn.Module: the items are those of its state dict
    std::string type;                      ///< its class, or the function that made it
    std::vector<const TorchValue*> given;  ///< what an unknown class or function got besides: arguments, its own state
  };
  struct Unread {  ///< a tensor that is there and cannot be read
    std::string why;
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
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Dict, StoredTensor, Storage, Object, Unread>
      data;

  template <class T>
  const T* get() const {
    return std::get_if<T>(&data);
  }
  /// The value under `key` of a dictionary (the last one), or nullptr.
  const TorchValue* find(const std::string& key) const;
};

/// Tells which values stand for tensors that cannot be read.
class UnreadFinder {
 public:
  explicit UnreadFinder(std::string where) : where_(std::move(where)) {}
  /// Why ("is sparse", "is made of tensors by a.b, which is not known here"); empty where the value stands for no such
  /// tensor: plain values, readable tensors, containers (their items tell for themselves).
  std::string reason(const TorchValue& value);

 private:
  bool reaches_tensors(const std::vector<const TorchValue*>& from);

  std::string where_;
  std::unordered_set<const TorchValue*> barren_;  // and everything below
  size_t steps_ = 0;
};

/// What the pickle stands in: a zip, the row of pickles before PyTorch 1.6, nothing.
enum class TorchContainer { kZip, kLegacy, kPickle };

/// A torch file mapped into memory. Opening it reads and checks the pickle and the layout; tensors are made on demand.
class TorchFile {
 public:
  /// Throws Error, one line that begins with the path: no torch file nor pickle, truncated or damaged, big-endian,
  /// compressed, a TorchScript program, a call that would run something, a tensor that its storage cannot hold.
  explicit TorchFile(const std::filesystem::path& path);
  ~TorchFile();
  TorchFile(TorchFile&&) noexcept;
  TorchFile& operator=(TorchFile&&) noexcept;

  const TorchValue& root() const;
  /// The tensor as a view into the mapping, which lives as long as any of them; writing to it changes this process's
  /// copy only. A storage that is not aligned for its type (legacy files) is copied once; negated and conjugated
  /// tensors and NumPy's arrays are copies.
  Tensor tensor(const StoredTensor& stored) const;
  TorchContainer container() const;
  /// Texts that stand beside the pickle (see write_torch), by name; those of more than 1 MiB are left out.
  std::map<std::string, std::string> notes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether these first bytes are those of a zip or of a legacy torch file.
bool looks_like_zip(std::string_view first_bytes);
bool looks_like_legacy_torch(std::string_view first_bytes);
/// The same of a pickle, those that open legacy torch files included.
bool looks_like_pickle(std::string_view first_bytes);

/// Writes a state dict as torch.save does (zip, OrderedDict of tensors), so that torch.load reads it with
/// weights_only=True; atomically. Tensors are moved to the CPU and made contiguous. Throws Error for a type that
/// torch's files have no storage class for (unsigned integers above 8 bits, 8-bit floats). `notes` stand as members
/// extra/NAME beside the pickle, as torch.jit keeps such files; torch.load does not look at them.
void write_torch(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                 const std::map<std::string, std::string>& notes = {});

}  // namespace sdg::tensors
