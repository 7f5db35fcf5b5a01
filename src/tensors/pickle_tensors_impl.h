#pragma once
// What a pickle makes tensors of: storages, dtypes, NumPy's arrays and scalars.
#include <optional>
#include <string_view>

#include "tensors/pickle_impl.h"

namespace sdg::tensors {

/// "torch.FloatStorage", "torch.cuda.HalfStorage", "torch.storage.UntypedStorage".
bool is_storage(std::string_view name);

/// The number type of "torch.float32"; nothing for other names.
std::optional<at::ScalarType> torch_dtype(std::string_view name);

/// (storage, offset, size, stride[, requires_grad, hooks[, metadata]]); typed: (…, hooks, dtype[, metadata]).
TorchValue* rebuild_tensor(ValuePool& pool, const TorchValue::List& arguments, bool is_typed);

/// A tensor moved from another device: (tensor or array, dtype, device, requires_grad).
TorchValue* rebuild_moved(ValuePool& pool, const std::string& function, const TorchValue::List& arguments);

/// What torch's older formats set on a tensor after it was made.
void apply_tensor_state(ValuePool& pool, TorchValue& object, const TorchValue& state);

/// A NumPy scalar: (dtype, bytes).
TorchValue* numpy_scalar(ValuePool& pool, const TorchValue::List& arguments);

/// (bytes, dtype, shape, order "C" or "F"), or (…, "K", order of axes).
TorchValue* numpy_from_buffer(ValuePool& pool, const TorchValue::List& arguments);

/// State of numpy.ndarray: (version, shape, dtype, is Fortran's order, bytes or a list of objects).
void apply_array_state(ValuePool& pool, TorchValue& object, const TorchValue& state);

/// State of numpy.dtype: (version, order of bytes, …).
void apply_dtype_state(TorchValue::Object& dtype, const TorchValue& state);

}  // namespace sdg::tensors
