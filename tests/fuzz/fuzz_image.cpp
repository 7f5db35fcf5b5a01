#include "fuzz/input_file.h"
#include "sdg/core/error.h"
#include "sdg/image/image.h"

// Every input is read or refused with an sdg::Error; anything else ends the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    sdg::image::decode_image({reinterpret_cast<const std::byte*>(data), size}, "input");
  } catch (const sdg::Error&) {
  }
  return 0;
}
