// A learner of feature clusters between two steps, as a file.
#include "sdg/conditions/feature_clusters.h"
#include "sdg/config/value.h"
#include "sdg/config/write.h"
#include "sdg/config/yaml.h"
#include "sdg/core/error.h"
#include "sdg/core/whole_number.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace {

constexpr const char* kFormat = "sdg-feature-clustering-2";
constexpr const char* kBefore = "sdg-feature-clustering-1";  // had no checksum

std::string entry(const tensors::TensorFile& file, const char* name, const std::string& where) {
  const auto found = file.metadata.find(name);
  SDG_CHECK(found != file.metadata.end(), where, ": is no stored clustering: its metadata lacks ", name);
  return found->second;
}

FeatureClustering options_in(const tensors::TensorFile& file, const std::string& where) {
  const auto format = entry(file, "format", where);
  SDG_CHECK(format == kFormat || format == kBefore, where, ": expected the format ", kFormat, ", got ", format);
  FeatureClustering out;
  config::read_yaml_text(config::Fields::of(out), entry(file, "options", where), where);
  return out;
}

// Options of the method itself and those common to all; what only another method reads may differ.
bool counts(const std::string& path, ClusterMethod method) {
  const auto dot = path.find('.');
  return dot == std::string::npos || path.substr(0, dot) == config::name(method);
}

void check_same(FeatureClustering stored, FeatureClustering wanted, const std::string& where) {
  const auto before = config::Fields::of(stored), now = config::Fields::of(wanted);
  for (size_t i = 0; i < now.list().size(); ++i) {
    const auto& field = now.list()[i];
    if (field.doc.resume == config::Resume::kFree || !counts(field.path, wanted.method)) continue;
    const auto was = config::to_text(config::current_value(before.list()[i]));
    const auto is = config::to_text(config::current_value(field));
    SDG_CHECK_USAGE(was == is, where, ": was begun with ", field.path, " ", was, ", not ", is,
                    "; go on with the same, or remove it or name another --state");
  }
}

int64_t number(const tensors::TensorFile& file, const char* name, const std::string& where) {
  const auto text = entry(file, name, where);
  const auto out = whole_number(text);
  SDG_CHECK(out && *out >= 0, where, ": expected a whole number as ", name, ", got ", config::in_quotes(text));
  return *out;
}

}  // namespace

void write_state(const std::filesystem::path& path, const cluster::Learned& learner, const FeatureClustering& options,
                 const FeatureKey& features) {
  auto shown = options;
  tensors::TensorFile file;
  file.tensors = learner.state();
  file.metadata = {{"format", kFormat},
                   {"options", config::to_yaml(config::Fields::of(shown))},
                   {"done", std::to_string(learner.done())},
                   {"features", features.digest},
                   {"width", std::to_string(features.width)}};
  tensors::write_tensors(path, file);
}

FeatureClustering options_of_state(const std::filesystem::path& path, int64_t width) {
  const auto where = path.string();
  const auto file = tensors::read_tensor_header(path);
  const auto out = options_in(file, where);
  const auto own = number(file, "width", where);
  SDG_CHECK(own == width, where, ": learned on features of width ", own, ", got ", width);
  return out;
}

int64_t resume_state(const std::filesystem::path& path, cluster::Learned& learner, const FeatureClustering& options,
                     const FeatureKey& features) {
  const auto where = path.string();
  check_same(options_of_state(path, features.width), options, where);
  const auto file = tensors::read_tensors(path);
  SDG_CHECK_USAGE(entry(file, "features", where) == features.digest, where,
                  ": was begun with other features; remove it or name another --state");
  const auto done = number(file, "done", where);
  SDG_CHECK(done <= learner.steps(), where, ": expected at most ", learner.steps(), " steps done, got ", done);
  learner.restore(file.tensors, done, where);
  return done;
}

void load_state(const std::filesystem::path& path, cluster::Learned& learner, const FeatureClustering& options) {
  const auto where = path.string();
  const auto file = tensors::read_tensors(path);
  check_same(options_in(file, where), options, where);
  const auto done = number(file, "done", where);
  SDG_CHECK_USAGE(done == learner.steps(), where, ": ", done, " of its ", learner.steps(),
                  " steps are done; the command that began it goes on, and is to finish it first");
  learner.restore(file.tensors, done, where);
}

}  // namespace sdg::conditions
