#include <cstdlib>

#include "sdg/config/find.h"
#include "sdg/core/error.h"
#include "vision/weights_file_impl.h"

namespace sdg::vision {
namespace {
namespace fs = std::filesystem;

fs::path folder_from(const char* variable, const char* below = "") {
  const char* value = std::getenv(variable);
  return value && *value ? fs::path(value) / below : fs::path();
}

fs::path downloaded_name(const WeightsSource& source) {
  return fs::path(source.url).filename();
}

// One line that brings the weights to `target`.
std::string how_to_get(const WeightsSource& source, const fs::path& target) {
  return cat("get them with: mkdir -p '", target.parent_path().string(), "' && curl -L -o '", target.string(), "' ",
             source.url);
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
    for (const fs::path& file : {fs::path(source.file), downloaded_name(source)}) {
      if (!folder.empty() && fs::is_regular_file(folder / file)) return folder / file;
    }
  }
  const fs::path target = (named.empty() ? cache : named) / downloaded_name(source);
  throw Error(cat(source.extractor, ": weights ", source.file, " found neither in $SDG_WEIGHTS (",
                  named.empty() ? "not set" : named.string(), ") nor in ", cache.string(), "; ",
                  how_to_get(source, target)));
}

}  // namespace sdg::vision
