#include "fuzz/input_file.h"
#include "sdg/core/error.h"
#include "sdg/tensors/npz.h"

// Every input is read or refused with an sdg::Error; anything else ends the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const sdg::fuzz::InputFile file(data, size);
  try {
    for (const auto& [name, info] : sdg::tensors::npz_contents(file.path()))
      sdg::tensors::read_npz_rows(file.path(), name, 3, [](const sdg::Tensor&) {});
  } catch (const sdg::Error&) {
  }
  try {
    sdg::tensors::read_npz(file.path());
  } catch (const sdg::Error&) {
  }
  try {
    sdg::tensors::read_npy(file.path());
  } catch (const sdg::Error&) {
  }
  return 0;
}
