// The only globals a pickle may name, and what each stands for.
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "io/pickle_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {
namespace {

using List = TorchValue::List;
using Dict = TorchValue::Dict;
using Object = TorchValue::Object;

constexpr size_t kMaxDims = 32;
constexpr int64_t kMaxRepeated = 1 << 20;  // elements of an expanded tensor beyond those of its storage

enum class Kind { kDict, kList, kRecord, kOpaque, kTensor, kTensorTyped, kInner, kReconstructor, kScalar, kEncode };

const std::map<std::string, Kind, std::less<>>& callables() {
  static const std::map<std::string, Kind, std::less<>> table = {
      {"collections.OrderedDict", Kind::kDict},
      {"collections.defaultdict", Kind::kDict},
      {"collections.Counter", Kind::kDict},
      {"builtins.dict", Kind::kDict},
      {"__builtin__.dict", Kind::kDict},
      {"builtins.list", Kind::kList},
      {"__builtin__.list", Kind::kList},
      {"builtins.set", Kind::kList},
      {"__builtin__.set", Kind::kList},
      {"builtins.frozenset", Kind::kList},
      {"builtins.tuple", Kind::kList},
      {"torch.Size", Kind::kList},
      {"argparse.Namespace", Kind::kRecord},
      {"types.SimpleNamespace", Kind::kRecord},
      {"easydict.EasyDict", Kind::kRecord},
      {"omegaconf.dictconfig.DictConfig", Kind::kRecord},
      {"omegaconf.listconfig.ListConfig", Kind::kRecord},
      {"omegaconf.base.ContainerMetadata", Kind::kRecord},
      {"omegaconf.base.Metadata", Kind::kRecord},
      {"omegaconf.nodes.AnyNode", Kind::kRecord},
      {"ml_collections.config_dict.config_dict.ConfigDict", Kind::kRecord},
      {"ml_collections.config_dict.config_dict.FrozenConfigDict", Kind::kRecord},
      {"typing.Any", Kind::kOpaque},
      {"builtins.int", Kind::kOpaque},
      {"builtins.float", Kind::kOpaque},
      {"builtins.str", Kind::kOpaque},
      {"builtins.object", Kind::kOpaque},
      {"__builtin__.object", Kind::kOpaque},
      {"builtins.complex", Kind::kOpaque},
      {"builtins.slice", Kind::kOpaque},
      {"datetime.datetime", Kind::kOpaque},
      {"pathlib.Path", Kind::kOpaque},
      {"pathlib.PosixPath", Kind::kOpaque},
      {"pathlib._local.PosixPath", Kind::kOpaque},
      {"torch.device", Kind::kOpaque},
      {"numpy.dtype", Kind::kOpaque},
      {"numpy.ndarray", Kind::kOpaque},
      {"numpy.core.multiarray._reconstruct", Kind::kOpaque},
      {"numpy._core.multiarray._reconstruct", Kind::kOpaque},
      {"numpy.core.numeric._frombuffer", Kind::kOpaque},
      {"numpy._core.numeric._frombuffer", Kind::kOpaque},
      {"numpy.core.multiarray.scalar", Kind::kScalar},
      {"numpy._core.multiarray.scalar", Kind::kScalar},
      {"_codecs.encode", Kind::kEncode},
      {"copyreg._reconstructor", Kind::kReconstructor},
      {"copy_reg._reconstructor", Kind::kReconstructor},
      {"torch._utils._rebuild_tensor", Kind::kTensor},
      {"torch._utils._rebuild_tensor_v2", Kind::kTensor},
      {"torch._utils._rebuild_tensor_v3", Kind::kTensorTyped},
      {"torch._utils._rebuild_parameter", Kind::kInner},
      {"torch._utils._rebuild_parameter_with_state", Kind::kInner},
      {"torch.nn.parameter.Parameter", Kind::kInner},
  };
  return table;
}

const std::map<std::string, at::ScalarType, std::less<>>& storages() {
  static const std::map<std::string, at::ScalarType, std::less<>> table = {
      {"DoubleStorage", at::kDouble},
      {"FloatStorage", at::kFloat},
      {"HalfStorage", at::kHalf},
      {"BFloat16Storage", at::kBFloat16},
      {"LongStorage", at::kLong},
      {"IntStorage", at::kInt},
      {"ShortStorage", at::kShort},
      {"CharStorage", at::kChar},
      {"ByteStorage", at::kByte},
      {"BoolStorage", at::kBool},
      {"ComplexFloatStorage", at::kComplexFloat},
      {"ComplexDoubleStorage", at::kComplexDouble},
  };
  return table;
}

const std::map<std::string, at::ScalarType, std::less<>>& dtypes() {
  static const std::map<std::string, at::ScalarType, std::less<>> table = {
      {"torch.float64", at::kDouble},
      {"torch.float32", at::kFloat},
      {"torch.float16", at::kHalf},
      {"torch.bfloat16", at::kBFloat16},
      {"torch.float8_e4m3fn", at::kFloat8_e4m3fn},
      {"torch.float8_e5m2", at::kFloat8_e5m2},
      {"torch.float8_e8m0fnu", at::kFloat8_e8m0fnu},
      {"torch.int64", at::kLong},
      {"torch.int32", at::kInt},
      {"torch.int16", at::kShort},
      {"torch.int8", at::kChar},
      {"torch.uint64", at::kUInt64},
      {"torch.uint32", at::kUInt32},
      {"torch.uint16", at::kUInt16},
      {"torch.uint8", at::kByte},
      {"torch.bool", at::kBool},
      {"torch.complex64", at::kComplexFloat},
      {"torch.complex128", at::kComplexDouble},
  };
  return table;
}

// "torch.FloatStorage", "torch.cuda.HalfStorage", "torch.storage.UntypedStorage"
bool is_storage(std::string_view name) {
  for (const std::string_view module : {"torch.storage.", "torch.cuda.", "torch."}) {
    if (!name.starts_with(module)) continue;
    const auto rest = name.substr(module.size());
    return rest == "UntypedStorage" || rest == "TypedStorage" || storages().contains(rest);
  }
  return false;
}

}  // namespace

std::optional<TorchValue::Storage> storage_of(const TorchValue& type) {
  const auto* global = type.get<Object>();
  if (!global || !global->is_global || !is_storage(global->name)) return std::nullopt;
  const auto found = storages().find(std::string_view(global->name).substr(global->name.rfind('.') + 1));
  TorchValue::Storage out;
  out.typed = found != storages().end();
  out.dtype = out.typed ? found->second : at::kByte;
  return out;
}

namespace {

Shape numbers(const TorchValue* value, const char* what, const std::string& where) {
  const auto* list = value->get<List>();
  SDG_CHECK(list && list->size() <= kMaxDims, where, ": a tensor's ", what, " is no tuple of at most ", kMaxDims,
            " numbers");
  Shape out;
  for (const auto* item : *list) {
    const auto* number = item->get<int64_t>();
    SDG_CHECK(number && *number >= 0, where, ": a tensor's ", what, " holds something else than numbers from 0");
    out.push_back(*number);
  }
  return out;
}

// Whether every element lies in the storage, and whether the whole is of a size that this file can mean.
void check_tensor(const StoredTensor& tensor, int64_t storage_numel, const std::string& where) {
  SDG_CHECK(tensor.shape.size() == tensor.strides.size(), where, ": a tensor has ", tensor.shape.size(),
            " extents and ", tensor.strides.size(), " strides");
  int64_t span = static_cast<int64_t>(c10::elementSize(tensor.dtype)), last = tensor.offset, count = 1;
  bool overflows = false;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    int64_t reach = 0;
    overflows |= __builtin_mul_overflow(span, std::max<int64_t>(tensor.shape[i], 1), &span);
    overflows |= __builtin_mul_overflow(std::max<int64_t>(tensor.shape[i] - 1, 0), tensor.strides[i], &reach);
    overflows |= __builtin_add_overflow(last, reach, &last);
    if (!overflows) count *= tensor.shape[i];
  }
  SDG_CHECK(!overflows, where, ": the size of a tensor overflows: ", to_string(tensor.shape));
  SDG_CHECK(count == 0 || last < storage_numel, where, ": a tensor ", to_string(tensor.shape), " with strides ",
            to_string(tensor.strides), " at ", tensor.offset, " reaches element ", last, " of a storage of ",
            storage_numel);
  SDG_CHECK(count <= storage_numel || count - storage_numel <= kMaxRepeated, where, ": a tensor ",
            to_string(tensor.shape), " repeats the ", storage_numel, " elements of its storage to ", count);
}

// (storage, offset, size, stride, …); the third version names the dtype: (…, requires_grad, hooks, dtype).
TorchValue* rebuild_tensor(ValuePool& pool, const List& arguments, bool typed) {
  const auto& where = pool.where();
  SDG_CHECK(arguments.size() >= (typed ? 7U : 4U), where, ": a tensor is rebuilt from ", arguments.size(),
            " arguments");
  const auto* storage = arguments[0]->get<TorchValue::Storage>();
  const auto* offset = arguments[1]->get<int64_t>();
  SDG_CHECK(storage && offset && *offset >= 0, where, ": a tensor is rebuilt from something else than a storage");
  pool.charge(storage->key.size());
  StoredTensor tensor;
  tensor.storage = storage->key;
  tensor.dtype = storage->dtype;
  tensor.offset = *offset;
  tensor.shape = numbers(arguments[2], "size", where);
  tensor.strides = numbers(arguments[3], "stride", where);
  if (typed) {
    const auto* dtype = arguments[6]->get<Object>();
    const auto known = dtype ? dtypes().find(dtype->name) : dtypes().end();
    SDG_CHECK(known != dtypes().end(), where, ": a tensor has an unknown dtype");
    tensor.dtype = known->second;
  }
  const auto bytes = storage->numel * static_cast<int64_t>(c10::elementSize(storage->dtype));
  check_tensor(tensor, bytes / static_cast<int64_t>(c10::elementSize(tensor.dtype)), where);
  return pool.make(std::move(tensor));
}

template <class T>
T from_bytes(const std::string& bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// numpy scalars: (dtype, bytes)
TorchValue* scalar(ValuePool& pool, const List& arguments) {
  const auto* type = arguments.size() == 2 ? arguments[0]->get<Object>() : nullptr;
  const auto* bytes = type ? arguments[1]->get<std::string>() : nullptr;
  if (bytes) {
    const auto size = bytes->size();
    if (type->text == "f8" && size == 8) return pool.make(from_bytes<double>(*bytes));
    if (type->text == "f4" && size == 4) return pool.make(static_cast<double>(from_bytes<float>(*bytes)));
    if (type->text == "i8" && size == 8) return pool.make(from_bytes<int64_t>(*bytes));
    if (type->text == "i4" && size == 4) return pool.make(int64_t{from_bytes<int32_t>(*bytes)});
    if (type->text == "b1" && size == 1) return pool.make(from_bytes<uint8_t>(*bytes) != 0);
  }
  return pool.make(Object{"numpy.generic", "", false});
}

// _codecs.encode(text, "latin1"): how protocol 2 writes bytes.
TorchValue* encode(ValuePool& pool, const List& arguments) {
  const auto* text = arguments.empty() ? nullptr : arguments[0]->get<std::string>();
  SDG_CHECK(text != nullptr, pool.where(), ": _codecs.encode of something else than text");
  pool.charge(text->size());
  std::string out;
  for (size_t i = 0; i < text->size(); ++i) {
    const auto c = static_cast<unsigned char>((*text)[i]);
    const bool two = (c & 0xfc) == 0xc0 && i + 1 < text->size();
    out += two ? static_cast<char>((c & 3) << 6 | ((*text)[++i] & 0x3f)) : static_cast<char>(c);
  }
  return pool.make(std::move(out));
}

// dict(), OrderedDict(), OrderedDict([(key, value), …]), defaultdict(factory)
TorchValue* make_dict(ValuePool& pool, const List& arguments) {
  Dict dict;
  const auto* pairs = arguments.empty() ? nullptr : arguments[0]->get<List>();
  for (size_t i = 0; pairs && i < pairs->size(); ++i) {
    const auto* pair = (*pairs)[i]->get<List>();
    const auto* key = pair && pair->size() == 2 ? (*pair)[0]->get<std::string>() : nullptr;
    SDG_CHECK(key != nullptr, pool.where(), ": a dictionary is made of something else than named values");
    pool.charge(key->size() + sizeof(dict.items[0]));
    dict.items.emplace_back(*key, (*pair)[1]);
  }
  return pool.make(std::move(dict));
}

TorchValue* make_list(ValuePool& pool, const List& arguments) {
  const auto* items = arguments.empty() ? nullptr : arguments[0]->get<List>();
  if (!items) return pool.make(List{});
  pool.charge(items->size() * sizeof(items->front()));
  return pool.make(*items);
}

TorchValue* make_opaque(ValuePool& pool, const std::string& name, const List& arguments) {
  Object object{name, "", false};
  const auto* text = arguments.empty() ? nullptr : arguments[0]->get<std::string>();
  if (text) object.text = text->substr(0, 64);
  return pool.make(std::move(object));
}

}  // namespace

Object known_global(const std::string& name, const std::string& where) {
  const bool known = callables().contains(name) || dtypes().contains(name) || is_storage(name) ||
                     name == "torch._tensor._rebuild_from_type_v2" || name == "torch.Tensor";
  if (!known) {
    std::string shown;
    for (const char c : name.substr(0, 100)) shown += c >= ' ' && c < 127 ? c : '?';
    throw Error(
        cat(where, ": refused: its pickle wants the global ", shown,
            ", which is not on the list of harmless ones; nothing was run. Save the state dict alone to read it"));
  }
  return {name, "", true};
}

TorchValue* apply_global(ValuePool& pool, const TorchValue& callable, const List& arguments) {
  const auto* global = callable.get<Object>();
  SDG_CHECK(global && global->is_global, pool.where(), ": its pickle calls something that is no known global");
  if (global->name == "torch._tensor._rebuild_from_type_v2") {  // (function, type, arguments, state)
    const auto* inner = arguments.size() >= 3 ? arguments[2]->get<List>() : nullptr;
    const auto* function = inner ? arguments[0]->get<Object>() : nullptr;
    const bool direct = function && function->is_global && function->name.starts_with("torch._utils.");
    SDG_CHECK(direct, pool.where(), ": a tensor subclass is rebuilt in an unknown way");
    return apply_global(pool, *arguments[0], *inner);
  }
  const auto found = callables().find(global->name);
  SDG_CHECK(found != callables().end(), pool.where(), ": its pickle calls ", global->name, ", which is no function");
  switch (found->second) {
    case Kind::kDict:
      return make_dict(pool, arguments);
    case Kind::kList:
      return make_list(pool, arguments);
    case Kind::kRecord:
      return pool.make(Dict{{}, true});
    case Kind::kOpaque:
      return make_opaque(pool, global->name, arguments);
    case Kind::kTensor:
      return rebuild_tensor(pool, arguments, false);
    case Kind::kTensorTyped:
      return rebuild_tensor(pool, arguments, true);
    case Kind::kInner:
      SDG_CHECK(!arguments.empty() && arguments[0]->get<StoredTensor>(), pool.where(),
                ": a parameter is made of something else than a tensor");
      pool.charge(arguments[0]->get<StoredTensor>()->storage.size());
      return pool.make(*arguments[0]->get<StoredTensor>());
    case Kind::kReconstructor: {
      SDG_CHECK(!arguments.empty(), pool.where(), ": an object without a class");
      const auto* type = arguments[0]->get<Object>();
      SDG_CHECK(type && type->is_global && type->name != global->name, pool.where(), ": an object without a class");
      return apply_global(pool, *arguments[0], {});
    }
    case Kind::kScalar:
      return scalar(pool, arguments);
    case Kind::kEncode:
      return encode(pool, arguments);
  }
  return nullptr;
}

void apply_state(ValuePool& pool, TorchValue& object, const TorchValue& state) {
  auto* record = std::get_if<Dict>(&object.data);
  if (!record || !record->is_record) return;
  const auto* attributes = state.get<Dict>();
  if (const auto* parts = state.get<List>(); parts && !parts->empty()) attributes = (*parts)[0]->get<Dict>();
  if (!attributes || attributes == record) return;
  for (const auto& [key, value] : attributes->items) {
    pool.charge(key.size() + sizeof(attributes->items[0]));
    record->items.emplace_back(key, value);
  }
}

}  // namespace sdg::io
