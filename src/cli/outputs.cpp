#include "cli/outputs.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Given {
  std::string flag;
  fs::path path;
  std::string type;  // "FILE", "FILE.png", …
};

// Options that name a file to write, in any command; folders are the commands' own to look after.
bool names_output(const CLI::Option& option) {
  static const std::array<std::string, 9> kFlags{"--out",  "--npz",   "--latents", "--trace", "--save-statistics",
                                                 "--save", "--state", "--picture", "--store"};
  if (option.get_name() == "out") return true;
  return option.get_type_name().starts_with("FILE") &&
         std::find(kFlags.begin(), kFlags.end(), option.get_name()) != kFlags.end();
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  if (fs::exists(a, ignored) && fs::exists(b, ignored)) return fs::equivalent(a, b, ignored);
  return fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
}

// What a run needs to go on and to be understood.
bool belongs_to_run(const fs::path& file) {
  std::error_code ignored;
  const auto whole = fs::weakly_canonical(file, ignored);
  const auto folder = whole.parent_path();
  const auto is_run = [&](const fs::path& place) {
    return fs::exists(place / "config.yaml", ignored) && fs::is_directory(place / "checkpoints", ignored);
  };
  const auto name = whole.filename().string();
  if (folder.filename() == "checkpoints") return is_run(folder.parent_path());
  if (folder.filename() == "averages") return is_run(folder.parent_path()) && name.starts_with("step-");
  return is_run(folder) && (name == "config.yaml" || name == "metrics.jsonl" || name == "log.txt");
}

// Files of tensors of this program say so; an empty file is nobody's.
bool is_of_others(const fs::path& file) {
  std::error_code ignored;
  if (file.extension() != ".safetensors" || !fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) == 0)
    return false;
  try {
    const auto metadata = tensors::read_tensor_header(file).metadata;
    const auto format = metadata.find("format");
    return format == metadata.end() || !format->second.starts_with("sdg-");
  } catch (const Error&) {
    return true;
  }
}

// Pictures and arrays are opened by their names, here and elsewhere.
void check_ending(const Given& output) {
  static const std::array<std::string, 3> kTypes{"FILE.png", "FILE.npz", "FILE.safetensors"};
  const bool told = std::find(kTypes.begin(), kTypes.end(), output.type) != kTypes.end();
  SDG_CHECK_USAGE(!told || io::lower_suffix(output.path) == output.type.substr(4), output.flag,
                  ": the name must end in ", output.type.substr(4), ", got ", output.path.string());
}

void check(const Given& output, const std::vector<Given>& inputs, bool keeps_strangers) {
  const auto& flag = output.flag;
  const auto& path = output.path;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    SDG_CHECK_USAGE(!output.type.starts_with("FILE"), flag, ": expected a file to write, got the folder ",
                    path.string());
    return;
  }
  if (path.empty()) return check_ending(output);
  const auto folder = fs::absolute(path, ignored).parent_path();
  SDG_CHECK_USAGE(fs::is_directory(folder, ignored), flag, ": there is no folder ", folder.string(), " to write ",
                  path.filename().string(), " into");
  for (const auto& input : inputs)
    SDG_CHECK_USAGE(!same_file(path, input.path), flag, ": ", path.string(), " is what ", input.flag,
                    " reads; name another file");
  SDG_CHECK_USAGE(!belongs_to_run(path), flag, ": ", path.string(),
                  " is, or would stand for, a file that a run needs; name another");
  SDG_CHECK_USAGE(!keeps_strangers || !is_of_others(path), flag, ": ", path.string(),
                  " is there already and was not written by sdg; name another file, or remove it");
  check_ending(output);
}

}  // namespace

void check_outputs(const CLI::App& command) {
  std::vector<Given> inputs, outputs;
  for (const auto* option : command.get_options()) {
    for (const auto& value : option->results()) {
      // No name is no picture; tensors have no other place to go.
      if (value.empty() && option->get_type_name() != "FILE.safetensors") continue;
      (names_output(*option) ? outputs : inputs).push_back({option->get_name(), value, option->get_type_name()});
    }
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (size_t k = 0; k < i; ++k)
      SDG_CHECK_USAGE(!same_file(outputs[k].path, outputs[i].path), outputs[i].flag, ": ", outputs[i].path.string(),
                      " is what ", outputs[k].flag, " writes; name another file");
    check(outputs[i], inputs, command.get_name() != "convert");
  }
}

}  // namespace sdg::cli
