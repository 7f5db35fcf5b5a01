#include "fuzz/input_file.h"
#include "sdg/config/yaml.h"
#include "sdg/core/error.h"

// Every input is read or refused with an sdg::Error; anything else ends the fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  struct Options {
    int64_t steps = 1;
    double rate = 0.5;
    bool on = false;
    std::string name = "a", choice = "x";
    void visit(sdg::config::Fields& fields) {
      fields("steps", &steps, {.help = "", .min = 0});
      fields("rate", &rate, {.help = "", .min = 0, .max = 1});
      fields("on", &on, {.help = ""});
      fields("name", &name, {.help = ""});
      fields("choice", &choice, {.help = "", .choices = {"x", "y"}});
    }
  } options;
  try {
    sdg::config::read_yaml_text(sdg::config::Fields::of(options),
                                std::string(reinterpret_cast<const char*>(data), size), "input");
  } catch (const sdg::Error&) {
  }
  return 0;
}
