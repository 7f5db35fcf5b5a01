#include <ATen/ATen.h>
#include "fuzz/input_file.h"
#include "sdg/core/error.h"
#include "sdg/tensors/weights.h"

// Every input is read or refused with an sdg::Error; anything else ends the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const sdg::fuzz::InputFile file(data, size);
  for (const char* entry : {"", "ema", "opt"}) {
    try {
      for (const auto& [name, tensor] : sdg::tensors::read_weights(file.path(), entry).tensors)
        tensor.contiguous().clone();
    } catch (const sdg::Error&) {
    }
  }
  return 0;
}
