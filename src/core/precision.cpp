#include "sdg/core/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "sdg/core/device.h"
#include "sdg/core/error.h"

namespace sdg {

bool has_native_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#elif defined(__aarch64__)
  constexpr unsigned long kBf16 = 1UL << 14;  // HWCAP2_BF16
  return (getauxval(AT_HWCAP2) & kBf16) != 0;
#else
  return false;
#endif
}

void check_precision(Precision precision, const at::Device& device, const std::string& option) {
  const auto capability = compute_capability(device);
  SDG_CHECK_USAGE(precision == Precision::kFloat32 || capability == 0 || capability >= 80, option, ": ",
                  precision == Precision::kBf16 ? "bf16" : "tf32", " needs a card of compute capability 8.0, and ",
                  device.str(), " has ", capability / 10, ".", capability % 10, "; choose float32");
  if (!device.is_cpu()) return;
  SDG_CHECK_USAGE(precision != Precision::kTf32, option,
                  ": tf32 is a format of GPUs, and the device is the CPU; choose float32, or bf16 where it is native");
  SDG_CHECK_USAGE(precision != Precision::kBf16 || has_native_bf16(), option,
                  ": bf16 needs a CPU that multiplies it itself (avx512_bf16, amx_bf16, or ARM's bf16), and this one "
                  "would take many times longer than float32; choose float32");
}

PrecisionScope::PrecisionScope(Precision precision, const at::Device& device, bool keep_casts)
    : precision_(precision), device_(device.type()) {
  if (precision_ == Precision::kTf32) {
    auto& context = at::globalContext();
    tf32_ = context.allowTF32CuBLAS();
    context.setAllowTF32CuBLAS(true);
    context.setAllowTF32CuDNN(true);
  }
  if (precision_ != Precision::kBf16) return;
  enabled_ = at::autocast::is_autocast_enabled(device_);
  cached_ = at::autocast::is_autocast_cache_enabled();
  type_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_cache_enabled(keep_casts);
}

PrecisionScope::~PrecisionScope() {
  if (precision_ == Precision::kTf32) {
    at::globalContext().setAllowTF32CuBLAS(tf32_);
    at::globalContext().setAllowTF32CuDNN(tf32_);
  }
  if (precision_ != Precision::kBf16) return;
  at::autocast::set_autocast_enabled(device_, enabled_);
  at::autocast::set_autocast_cache_enabled(cached_);
  at::autocast::set_autocast_dtype(device_, type_);
}

BackwardScope::BackwardScope(Precision precision, const at::Device& device) {
  if (precision == Precision::kTf32) scope_.emplace(precision, device);
}

void forget_casts() {
  at::autocast::clear_cache();
}

}  // namespace sdg
