#include "sdg/checkpoint/same_data.h"

#include <charconv>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/recipe/source.h"

namespace sdg::checkpoint {
namespace {

// "folder /data/x: 300 images, 3 classes": what older checkpoints know; -1 where they do not.
int64_t images_in(const std::string& description) {
  const auto end = description.rfind(" image");
  const auto before = end == std::string::npos ? end : description.rfind(' ', end - 1);
  if (before == std::string::npos) return -1;
  int64_t count = -1;
  const auto [stop, failed] = std::from_chars(description.data() + before + 1, description.data() + end, count);
  return failed == std::errc() && stop == description.data() + end ? count : -1;
}

// As far as an older checkpoint knows them.
data::Changes changes_to_older(const CheckpointInfo& before, const data::Fingerprint& now) {
  data::Fingerprint known = now;
  if (const auto images = images_in(before.data); images >= 0) known.images = images;
  if (recipe::facts_of(before.config).labels && before.class_names != now.classes && !now.classes.empty()) {
    known.classes = before.class_names;
    known.classes_id = "older";
    known.class_sizes.clear();
  }
  return data::changes(known, now);
}

bool by_position(const recipe::RunConfig& config) {
  const auto facts = recipe::facts_of(config);
  return recipe::keeps_clusters(config) || (facts.indices && !facts.labels);
}

}  // namespace

void check_resumed_data(const CheckpointInfo& before, const data::Fingerprint& now, const std::string& where,
                        const std::function<void(const std::string&)>& note) {
  const bool older = !before.fingerprint.known();
  const auto found = older ? changes_to_older(before, now) : data::changes(before.fingerprint, now);
  const auto text = data::to_text(found);
  const bool labels_matter = recipe::facts_of(before.config).labels;
  SDG_CHECK(found.images.empty() && (!labels_matter || found.labels.empty()), where,
            ": the data set is no longer the one this run was trained on: ", text,
            "; bring it back, or choose another --run");
  if (!found.labels.empty()) note(cat("scores are no longer against the labels of before: ", text));
  if (found.labels.empty() && !found.names.empty()) note(cat(text, ", the images are the same"));
  if (older)
    note(
        "the checkpoint is of an older version and does not know its images: only their number and the names of "
        "classes were compared");
}

void check_own_data(const Trained& trained, const data::OpenedData& opened) {
  const auto& before = trained.info;
  if (before.converted && !before.fingerprint.known()) return;
  const auto now = data::fingerprint(opened);
  const auto found =
      before.fingerprint.known() ? data::changes(before.fingerprint, now) : changes_to_older(before, now);
  const auto text = data::to_text(found);
  SDG_CHECK(found.images.empty() || !by_position(before.config), opened.path,
            ": is no longer the data set that the clusters of ", trained.path, " were stored for: ", text);
  if (!found.images.empty() || !found.labels.empty())
    log::warning(cat(opened.path, ": is no longer the data set that ", trained.path, " was trained on: ", text));
}

void check_made_for(const data::Fingerprint& made_for, const data::Fingerprint& now, const std::string& what,
                    const std::string& data) {
  if (!made_for.known()) return;
  const auto found = data::changes(made_for, now);
  SDG_CHECK(found.images.empty() || data::same_images(made_for, now), what, " was made for another data set than ",
            data, ": ", data::to_text(found));
}

}  // namespace sdg::checkpoint
