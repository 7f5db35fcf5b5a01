// Fingerprints as text, and in words what differs between two.
#include <algorithm>
#include <set>

#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/core/utf8.h"
#include "sdg/data/fingerprint.h"

namespace sdg::data {
namespace {

std::string plural(int64_t count, const char* what) {
  return cat(count, " ", what, count == 1 ? "" : "s");
}

std::vector<std::string> without(const std::vector<std::string>& names, const std::vector<std::string>& others) {
  const std::set<std::string> known(others.begin(), others.end());
  std::vector<std::string> out;
  std::copy_if(names.begin(), names.end(), std::back_inserter(out),
               [&](const auto& name) { return !known.contains(name); });
  return out;
}

void compare_classes(const Fingerprint& before, const Fingerprint& now, std::vector<std::string>& out) {
  if (before.classes_id == now.classes_id) return;
  if (before.classes_id.empty() || now.classes_id.empty()) {
    out.push_back(now.classes_id.empty() ? "there are no classes any more" : "there are classes now");
    return;
  }
  if (before.classes.empty() || now.classes.empty()) {
    out.push_back("the names of the classes differ");
    return;
  }
  const auto gone = without(before.classes, now.classes), fresh = without(now.classes, before.classes);
  constexpr size_t kShown = 4;
  if (gone.size() == fresh.size() && !gone.empty()) {
    for (size_t i = 0; i < std::min(kShown, gone.size()); ++i)
      out.push_back(cat("class ", gone[i], " is now ", fresh[i]));
    if (gone.size() > kShown) out.push_back(cat(gone.size() - kShown, " more classes have other names"));
    return;
  }
  if (!gone.empty()) out.push_back(cat(gone.size() == 1 ? "class " : "classes ", join_first(gone, kShown), " gone"));
  if (!fresh.empty()) out.push_back(cat(fresh.size() == 1 ? "class " : "classes ", join_first(fresh, kShown), " new"));
  if (gone.empty() && fresh.empty()) out.push_back("the classes are in another order, or have other bytes in a name");
}

void compare_class_sizes(const Fingerprint& before, const Fingerprint& now, std::vector<std::string>& out) {
  if (before.classes != now.classes || before.class_sizes.size() != now.class_sizes.size()) return;
  size_t differ = 0;
  constexpr size_t kShown = 3;
  for (size_t i = 0; i < now.class_sizes.size(); ++i) {
    if (before.class_sizes[i] == now.class_sizes[i] || ++differ > kShown) continue;
    out.push_back(cat("class ", now.classes[i], " has ", plural(now.class_sizes[i], "image"), ", it had ",
                      before.class_sizes[i]));
  }
  if (differ > kShown) out.push_back(cat(differ - kShown, " more classes have another number of images"));
}

}  // namespace

Changes changes(const Fingerprint& before, const Fingerprint& now) {
  Changes out;
  compare_classes(before, now, out.labels);
  if (before.labels != now.labels && !before.labels.empty() && !now.labels.empty() && before.images == now.images)
    out.labels.emplace_back("images have other labels");
  if (before.masks != now.masks) out.labels.emplace_back("the masks differ");
  const bool same_count = before.images == now.images;
  if (!same_count) {
    out.images.push_back(cat(plural(now.images, "image"), ", there were ", before.images));
    compare_class_sizes(before, now, out.images);
  } else if (before.contents != now.contents) {
    out.images.emplace_back(!before.bag.empty() && before.bag == now.bag ? "the same images stand in another order"
                                                                         : "the contents of the images differ");
  }
  if (same_count && before.names != now.names && !before.names.empty() && !now.names.empty())
    out.names.emplace_back("files have other names");
  return out;
}

bool same_images(const Fingerprint& a, const Fingerprint& b) {
  const auto of = [](const Fingerprint& one) { return one.encoded.empty() ? one.contents : one.encoded; };
  return a.images == b.images && (a.contents == b.contents || of(a) == of(b));
}

std::string to_text(const Changes& changes) {
  std::vector<std::string> all;
  for (const auto* part : {&changes.labels, &changes.images, &changes.names})
    all.insert(all.end(), part->begin(), part->end());
  return join(all, "; ");
}

std::string to_text(const Fingerprint& fingerprint) {
  nlohmann::ordered_json out{{"images", fingerprint.images}, {"contents", fingerprint.contents}};
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) out[key] = value;
  };
  put("bag", fingerprint.bag);
  put("encoded", fingerprint.encoded);
  put("names", fingerprint.names);
  put("labels", fingerprint.labels);
  put("masks", fingerprint.masks);
  put("classes_id", fingerprint.classes_id);
  if (!fingerprint.classes.empty()) {
    out["classes"] = fingerprint.classes;
    out["class_sizes"] = fingerprint.class_sizes;
  }
  return io::nested_json_text(out);
}

Fingerprint parse_fingerprint(const std::string& text, const std::string& where) {
  try {
    const auto json = nlohmann::json::parse(text);
    Fingerprint out;
    out.images = json.at("images").get<int64_t>();
    out.contents = json.at("contents").get<std::string>();
    out.bag = json.value("bag", std::string());
    out.encoded = json.value("encoded", std::string());
    out.names = json.value("names", std::string());
    out.labels = json.value("labels", std::string());
    out.masks = json.value("masks", std::string());
    out.classes_id = json.value("classes_id", std::string());
    out.classes = json.value("classes", std::vector<std::string>());
    for (auto& name : out.classes) name = from_utf8(name);
    out.class_sizes = json.value("class_sizes", std::vector<int64_t>());
    return out;
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat(where, ": malformed fingerprint of a data set: ", error.what()));
  }
}

}  // namespace sdg::data
