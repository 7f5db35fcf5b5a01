#include <cstdlib>

#include "metrics/weights_file_impl.h"
#include "sdg/config/find.h"
#include "sdg/core/error.h"

namespace sdg::metrics {
namespace {
namespace fs = std::filesystem;

fs::path folder_from(const char* variable, const char* below = "") {
  const char* value = std::getenv(variable);
  return value && *value ? fs::path(value) / below : fs::path();
}

// One line that brings the weights to `target`.
std::string how_to_get(const WeightsSource& source, const fs::path& target) {
  const std::string download = fs::path(source.url).filename().string();
  return cat("download ", source.url,
             " and convert it: python3 -c \"import os, torch, safetensors.torch as s; d = torch.load('", download,
             "', map_location='cpu'); os.makedirs('", target.parent_path().string(),
             "', exist_ok=True); s.save_file({k: v.clone() for k, v in ", source.python_state, "}, '", target.string(),
             "')\"");
}
}  // namespace

fs::path find_weights(const WeightsSource& source, const std::string& given, const fs::path& config_dir) {
  if (!given.empty()) {
    SDG_CHECK(fs::is_regular_file(given), source.extractor, ": weights ", given, " not found",
              source.url.empty() ? "" : "; " + how_to_get(source, given));
    return given;
  }
  if (source.url.empty()) return config::find_beside(source.file, config_dir);
  const fs::path named = folder_from("SDG_WEIGHTS"), cache = folder_from("HOME", ".cache/sdg");
  for (const fs::path& folder : {named, cache}) {
    if (!folder.empty() && fs::is_regular_file(folder / source.file)) return folder / source.file;
  }
  const fs::path target = (named.empty() ? cache : named) / source.file;
  throw Error(cat(source.extractor, ": weights ", source.file, " found neither in $SDG_WEIGHTS (",
                  named.empty() ? "not set" : named.string(), ") nor in ", cache.string(), "; ",
                  how_to_get(source, target)));
}

}  // namespace sdg::metrics
