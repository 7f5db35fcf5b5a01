#pragma once
// The stack machine for pickles of torch.save (protocols 0 to 5 as far as picklers of plain data write them).
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sdg/tensors/torch_file.h"

namespace sdg::tensors {

/// Owner of the values of a file; addresses stay.
class ValuePool {
 public:
  explicit ValuePool(std::string where) : where_(std::move(where)) {}
  TorchValue* make(decltype(TorchValue::data) data);
  /// Counts bytes that an opcode copies from a value (which may be reused any number of times) against a limit.
  void charge(size_t bytes);
  const std::string& where() const { return where_; }

 private:
  std::string where_;
  std::deque<TorchValue> values_;
  size_t charged_ = 0;
};

/// A key of a dictionary, or a value, as text: "w", "3", "(0, 1)".
std::string key_text(const TorchValue& key);

/// The storage (without key and size) of a class such as torch.FloatStorage; nothing if `type` is no such class.
std::optional<TorchValue::Storage> storage_of(const TorchValue& type);

/// What calling `callable` with `arguments` means: data, a record of what is not known here, or an Error. Never a call.
TorchValue* apply_global(ValuePool& pool, const TorchValue& callable, const TorchValue::List& arguments);

/// The numbers and texts of protocol 0, which stand in lines; nothing where they are none (or beyond 64 bits).
std::optional<int64_t> pickled_int(std::string_view text);
std::optional<double> pickled_float(std::string_view text);
std::optional<std::string> pickled_string(std::string_view text);   // Python's repr: 'a\\n'
std::optional<std::string> pickled_unicode(std::string_view text);  // raw-unicode-escape, to UTF-8

/// What `module.name` stands for.
TorchValue* make_global(ValuePool& pool, const std::string& name);

/// A record for what `type` would have made of `given`.
TorchValue* make_record(ValuePool& pool, const std::string& type, const TorchValue::List& given = {});

/// Sets the state of `object` as pickle's BUILD does: a record takes attributes, a tensor another storage, NumPy's
/// types and arrays what they are.
void apply_state(ValuePool& pool, TorchValue& object, const TorchValue& state);

/// Reads one pickle from the front of `bytes` (whose rest is left there). `persistent` answers persistent ids: the
/// tuples by which tensors refer to storages.
const TorchValue* read_pickle(std::span<const std::byte>& bytes, ValuePool& pool,
                              const std::function<TorchValue*(const TorchValue&)>& persistent);

}  // namespace sdg::tensors
