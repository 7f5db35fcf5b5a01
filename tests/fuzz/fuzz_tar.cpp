#include "fuzz/input_file.h"
#include "sdg/core/error.h"
#include "sdg/io/tar_index.h"

// Every input is read or refused with an sdg::Error; anything else ends the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const sdg::fuzz::InputFile file(data, size);
  try {
    const auto index = sdg::io::index_tar(file.path());
    for (const auto& entry : index.files)
      if (entry.offset > size || entry.size > size - entry.offset) std::abort();  // promised to lie in the file
  } catch (const sdg::Error&) {
  }
  return 0;
}
