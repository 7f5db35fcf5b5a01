#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "sdg/core/error.h"
#include "tensors/npy_impl.h"
#include "tensors/pickle_tensors_impl.h"

namespace sdg::tensors {
namespace {

using List = TorchValue::List;
using Dict = TorchValue::Dict;
using Object = TorchValue::Object;
using Unread = TorchValue::Unread;

constexpr size_t kMaxDims = 32;
constexpr int64_t kMaxRepeated = 1 << 20;  // elements of an expanded tensor beyond those of its storage

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
      {"QInt8Storage", at::kQInt8},
      {"QUInt8Storage", at::kQUInt8},
      {"QInt32Storage", at::kQInt32},
      {"QUInt4x2Storage", at::kQUInt4x2},
      {"QUInt2x4Storage", at::kQUInt2x4},
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
      {"torch.float8_e4m3fnuz", at::kFloat8_e4m3fnuz},
      {"torch.float8_e5m2fnuz", at::kFloat8_e5m2fnuz},
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

template <class T>
T from_bytes(const std::string& bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Strides of a dense array in C order, or with the first index fastest.
Shape dense_strides(const Shape& shape, bool is_fortran) {
  Shape out(shape.size(), 1);
  int64_t step = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t axis = is_fortran ? i : shape.size() - 1 - i;
    out[axis] = step;
    step *= std::max<int64_t>(shape[axis], 1);
  }
  return out;
}

TorchValue* numpy_array(ValuePool& pool, const TorchValue& type, const TorchValue& shape, bool is_fortran,
                        const std::string& bytes) {
  const auto& where = pool.where();
  const auto* object = type.get<Object>();
  const auto dtype = npy_type(object ? object->text : "");
  if (!dtype.unread.empty()) return pool.make(Unread{cat("is a NumPy array that ", dtype.unread)});
  StoredTensor out;
  out.dtype = dtype.dtype;
  out.is_big_endian = dtype.is_big_endian;
  out.bytes = &bytes;
  out.shape = numbers(&shape, "size", where);
  const auto width = static_cast<int64_t>(c10::elementSize(out.dtype));
  int64_t size = width;
  for (const auto extent : out.shape)
    SDG_CHECK(!__builtin_mul_overflow(size, std::max<int64_t>(extent, 1), &size), where,
              ": the size of an array overflows: ", to_string(out.shape));
  if (std::find(out.shape.begin(), out.shape.end(), 0) != out.shape.end()) size = 0;
  SDG_CHECK(static_cast<uint64_t>(size) == bytes.size(), where, ": a NumPy array ", to_string(out.shape), " of '",
            object->text, "' needs ", size, " bytes, it has ", bytes.size());
  out.strides = dense_strides(out.shape, is_fortran);
  return pool.make(std::move(out));
}

// The bits that a tensor carries beside its storage: presence sets them, as in torch. False: something unknown.
bool apply_metadata(StoredTensor& tensor, const TorchValue* metadata) {
  if (!metadata || metadata->get<std::monostate>()) return true;
  const auto* bits = metadata->get<Dict>();
  if (!bits) return false;
  for (const auto& [key, unused] : bits->items) {
    if (key != "neg" && key != "conj") return false;
    (key == "neg" ? tensor.is_negative : tensor.is_conjugate) = true;
  }
  const bool can_negate =
      tensor.dtype != at::kBool && !c10::isBarebonesUnsignedType(tensor.dtype) && !c10::isFloat8Type(tensor.dtype);
  return (!tensor.is_conjugate || c10::isComplexType(tensor.dtype)) && (!tensor.is_negative || can_negate);
}

}  // namespace

bool is_storage(std::string_view name) {
  if (!name.starts_with("torch.") && !name.starts_with("torch_")) return false;
  const auto type = name.substr(name.rfind('.') + 1);
  return type == "UntypedStorage" || type == "TypedStorage" || storages().contains(type);
}

std::optional<at::ScalarType> torch_dtype(std::string_view name) {
  const auto found = dtypes().find(name);
  return found == dtypes().end() ? std::nullopt : std::optional(found->second);
}

std::optional<TorchValue::Storage> storage_of(const TorchValue& type) {
  const auto* global = type.get<Object>();
  if (!global || !global->is_global || !is_storage(global->name)) return std::nullopt;
  const auto found = storages().find(std::string_view(global->name).substr(global->name.rfind('.') + 1));
  TorchValue::Storage out;
  out.typed = found != storages().end();
  out.dtype = out.typed ? found->second : at::kByte;
  return out;
}

TorchValue* rebuild_tensor(ValuePool& pool, const List& arguments, bool is_typed) {
  const auto& where = pool.where();
  constexpr size_t kBeforeMetadata = 6;  // storage, offset, size, stride, requires_grad, hooks
  const size_t metadata = kBeforeMetadata + (is_typed ? 1 : 0);
  SDG_CHECK(arguments.size() >= (is_typed ? 7U : 4U), where, ": a tensor is rebuilt from ", arguments.size(),
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
  if (is_typed) {
    const auto* named = arguments[6]->get<Object>();
    const auto dtype = named ? torch_dtype(named->name) : std::nullopt;
    if (!dtype)
      return pool.make(Unread{cat("is of the type ", named ? named->name : "unknown", ", which is not read")});
    tensor.dtype = *dtype;
  }
  if (c10::isQIntType(tensor.dtype)) return pool.make(Unread{"is quantised, but without a scale"});
  if (arguments.size() > metadata + 1) return pool.make(Unread{"is rebuilt from more arguments than are known here"});
  if (arguments.size() > metadata && !apply_metadata(tensor, arguments[metadata]))
    return pool.make(Unread{"carries metadata that are not known here"});
  const auto bytes = storage->numel * static_cast<int64_t>(c10::elementSize(storage->dtype));
  check_tensor(tensor, bytes / static_cast<int64_t>(c10::elementSize(tensor.dtype)), where);
  return pool.make(std::move(tensor));
}

TorchValue* rebuild_moved(ValuePool& pool, const std::string& function, const List& arguments) {
  const auto* tensor = arguments.size() >= 2 ? arguments[0]->get<StoredTensor>() : nullptr;
  const auto* named = tensor ? arguments[1]->get<Object>() : nullptr;
  const auto dtype = named ? torch_dtype(named->name) : std::nullopt;
  if (!dtype || *dtype != tensor->dtype)
    return pool.make(Unread{cat("is made by ", function, " with a change of its type")});
  pool.charge(tensor->storage.size());
  return pool.make(*tensor);
}

void apply_tensor_state(ValuePool& pool, TorchValue& object, const TorchValue& state) {
  const auto* parts = state.get<List>();
  if (!parts || parts->size() == 2 || parts->size() == 3) return;       // attributes; (requires_grad, volatile, hooks)
  if (parts->size() == 4 && (*parts)[0]->get<TorchValue::Storage>()) {  // a tensor's
    object.data = rebuild_tensor(pool, *parts, false)->data;
  } else if (parts->size() == 5 && (*parts)[0]->get<StoredTensor>()) {  // a variable's: (data, …)
    pool.charge((*parts)[0]->get<StoredTensor>()->storage.size());
    object.data = TorchValue((*(*parts)[0])).data;
  } else {
    object.data = Unread{"is given a state of an unknown kind"};
  }
}

TorchValue* numpy_scalar(ValuePool& pool, const List& arguments) {
  const auto* type = arguments.size() == 2 ? arguments[0]->get<Object>() : nullptr;
  const auto* bytes = type ? arguments[1]->get<std::string>() : nullptr;
  const auto dtype = npy_type(bytes ? type->text : "");
  if (!dtype.unread.empty() || bytes->size() != c10::elementSize(dtype.dtype))
    return pool.make(Object{"numpy.generic", "", false});
  std::string data = *bytes;
  if (dtype.is_big_endian) swap_bytes(std::as_writable_bytes(std::span(data)), dtype.dtype);
  switch (dtype.dtype) {
    case at::kDouble:
      return pool.make(from_bytes<double>(data));
    case at::kFloat:
      return pool.make(static_cast<double>(from_bytes<float>(data)));
    case at::kHalf:
      return pool.make(static_cast<double>(static_cast<float>(from_bytes<at::Half>(data))));
    case at::kLong:
      return pool.make(from_bytes<int64_t>(data));
    case at::kInt:
      return pool.make(int64_t{from_bytes<int32_t>(data)});
    case at::kShort:
      return pool.make(int64_t{from_bytes<int16_t>(data)});
    case at::kChar:
      return pool.make(int64_t{from_bytes<int8_t>(data)});
    case at::kByte:
      return pool.make(int64_t{from_bytes<uint8_t>(data)});
    case at::kUInt16:
      return pool.make(int64_t{from_bytes<uint16_t>(data)});
    case at::kUInt32:
      return pool.make(int64_t{from_bytes<uint32_t>(data)});
    case at::kBool:
      return pool.make(from_bytes<uint8_t>(data) != 0);
    default:  // complex, and unsigned numbers that may not fit
      return pool.make(Object{"numpy.generic", "", false});
  }
}

TorchValue* numpy_from_buffer(ValuePool& pool, const List& arguments) {
  const bool is_complete = arguments.size() == 4 || arguments.size() == 5;
  const auto* bytes = is_complete ? arguments[0]->get<std::string>() : nullptr;
  const auto* order = bytes ? arguments[3]->get<std::string>() : nullptr;
  const bool is_permuted = order && *order == "K" && arguments.size() == 5 && !arguments[4]->get<std::monostate>();
  if (!order || (*order != "C" && *order != "F" && !is_permuted))
    return pool.make(Unread{"is a NumPy array that is made in an unknown way"});
  auto* made = numpy_array(pool, *arguments[1], *arguments[2], *order == "F", *bytes);
  auto* array = std::get_if<StoredTensor>(&made->data);
  if (!is_permuted || !array) return made;
  const auto axes = numbers(arguments[4], "order of axes", pool.where());
  Shape shape, strides;
  for (const auto axis : axes) {
    SDG_CHECK(static_cast<size_t>(axis) < array->shape.size(), pool.where(), ": an array's order of axes names axis ",
              axis);
    shape.push_back(array->shape[static_cast<size_t>(axis)]);
    strides.push_back(array->strides[static_cast<size_t>(axis)]);
  }
  SDG_CHECK(
      std::set<int64_t>(axes.begin(), axes.end()).size() == array->shape.size() && axes.size() == array->shape.size(),
      pool.where(), ": an array's order of axes is no order");
  array->shape = std::move(shape);
  array->strides = std::move(strides);
  return made;
}

void apply_array_state(ValuePool& pool, TorchValue& object, const TorchValue& state) {
  const auto* parts = state.get<List>();
  const auto* is_fortran = parts && parts->size() == 5 ? (*parts)[3]->get<bool>() : nullptr;
  const auto* is_number = parts && parts->size() == 5 ? (*parts)[3]->get<int64_t>() : nullptr;  // before protocol 2
  if (!is_fortran && !is_number) {
    object.data = Unread{"is a NumPy array that is made in an unknown way"};
  } else if (const auto* bytes = (*parts)[4]->get<std::string>()) {
    const bool fortran = is_fortran ? *is_fortran : *is_number != 0;
    object.data = std::move(numpy_array(pool, *(*parts)[2], *(*parts)[1], fortran, *bytes)->data);
  } else {
    object.data = std::move(make_record(pool, "numpy.ndarray", {(*parts)[4]})->data);
  }
}

void apply_dtype_state(Object& dtype, const TorchValue& state) {
  const auto* parts = state.get<List>();
  const auto* order = parts && parts->size() >= 2 ? (*parts)[1]->get<std::string>() : nullptr;
  if (!order) return;
  const bool has_order = !dtype.text.empty() && std::string_view("<>=|").find(dtype.text[0]) != std::string_view::npos;
  dtype.text = order->substr(0, 1) + (has_order ? dtype.text.substr(1) : dtype.text);
}

}  // namespace sdg::tensors
