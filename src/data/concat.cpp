// Shards: several files that are one data set.
#include "data/concat.h"

#include <map>

#include "data/sources.h"
#include "sdg/core/shape.h"

namespace sdg::data {
namespace {

class ConcatImages : public ImageSource {
 public:
  explicit ConcatImages(Parts<ImageSource> parts) : parts_(std::move(parts)) {}
  int64_t size() const override { return parts_.size(); }
  Tensor read(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.read(place.index);
  }
  std::string name(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.name(place.index);
  }
  std::string short_name(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.short_name(place.index);
  }
  uint64_t stored_size(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.stored_size(place.index);
  }
  std::optional<std::vector<std::byte>> stored(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.stored(place.index);
  }

 private:
  Parts<ImageSource> parts_;
};

class ConcatLatents : public LatentSource {
 public:
  ConcatLatents(Parts<LatentSource> parts, LatentCard card) : parts_(std::move(parts)), card_(std::move(card)) {}
  int64_t size() const override { return parts_.size(); }
  const LatentCard& card() const override { return card_; }
  bool has_flips() const override { return parts_.all().front()->has_flips(); }
  bool has_noise() const override { return parts_.all().front()->has_noise(); }
  std::string short_name(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.short_name(place.index);
  }
  uint64_t stored_size(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.stored_size(place.index);
  }
  void digest(int64_t index, io::Digest& out) const override {
    const auto place = parts_.at(index);
    place.source.digest(place.index, out);
  }
  void read_into(int64_t index, bool flipped, const float* noise, float* out) const override {
    const auto place = parts_.at(index);
    place.source.read_into(place.index, flipped, noise, out);
  }
  Tensor raw_means(int64_t first, int64_t count) const override {
    std::vector<Tensor> means;
    for (int64_t done = 0; done < count;) {
      const auto place = parts_.at(first + done);
      means.push_back(place.source.raw_means(place.index, std::min(place.left, count - done)));
      done += means.back().size(0);
    }
    return at::cat(means);
  }

 private:
  Parts<LatentSource> parts_;
  LatentCard card_;
};

class ConcatMasks : public MaskSource {
 public:
  explicit ConcatMasks(Parts<MaskSource> parts) : parts_(std::move(parts)) {}
  Tensor mask(int64_t index) const override {
    const auto place = parts_.at(index);
    return place.source.mask(place.index);
  }

 private:
  Parts<MaskSource> parts_;
};

// Calls check(first, other) for each part but the first.
template <class Check>
void compare(const std::vector<OpenedData>& parts, const Check& check) {
  for (size_t i = 1; i < parts.size(); ++i) check(parts.front(), parts[i]);
}

void check_alike(const OpenedData& a, const OpenedData& b) {
  const auto same = [&](bool in_a, bool in_b, const char* what) {
    SDG_CHECK(in_a == in_b, "data.path: parts of one data set must go together: ", (in_a ? a : b).path, " has ", what,
              ", ", (in_a ? b : a).path, " has none");
  };
  same(a.labels != nullptr, b.labels != nullptr, "labels");
  same(a.masks != nullptr, b.masks != nullptr, "masks");
  if (!a.latents) return;
  same(a.latents->has_noise(), b.latents->has_noise(), "`logvar`");
  same(a.latents->has_flips(), b.latents->has_flips(), "mirrored latents");
  const auto& x = a.latents->card();
  const auto& y = b.latents->card();
  const auto shape = [](const LatentCard& card) {
    return cat(to_string(Shape{card.channels, card.size, card.size}), " at 1/", card.factor);
  };
  SDG_CHECK(shape(x) == shape(y) && x.image_channels == y.image_channels,
            "data.path: parts of one data set must have one shape: ", a.path, " holds latents ", shape(x), ", ", b.path,
            " latents ", shape(y));
  SDG_CHECK(x.scale == y.scale && x.shift == y.shift && x.encoder_id == y.encoder_id && x.kind == y.kind,
            "data.path: parts of one data set must be of one autoencoder: ", a.path, " and ", b.path, " are not");
}

void check_shapes(const OpenedData& a, const OpenedData& b) {
  const auto x = a.images->read(0), y = b.images->read(0);
  SDG_CHECK(x.sizes() == y.sizes(), "data.path: parts of one data set must have one shape: ", a.path, " holds images ",
            to_string(x.sizes()), ", ", b.path, " images ", to_string(y.sizes()));
}

LatentCard joined_card(const std::vector<OpenedData>& parts) {
  LatentCard card = parts.front().latents->card();
  compare(parts, [&](const OpenedData& first, const OpenedData& part) {
    const auto& own = part.latents->card();
    // Of the images together nothing is known.
    if (own.images_fingerprint != first.latents->card().images_fingerprint) card.images_fingerprint.clear();
    if (own.images != card.images) card.images += "," + own.images;
    if (own.provenance != first.latents->card().provenance) card.provenance.clear();
  });
  return card;
}

template <class Source>
Parts<Source> parts_of(const std::vector<OpenedData>& opened, std::shared_ptr<Source> OpenedData::* source) {
  Parts<Source> out;
  for (const auto& part : opened) out.add(part.*source, part.size());
  return out;
}

std::shared_ptr<LabelSource> joined_by_name(const std::vector<OpenedData>& parts) {
  std::map<std::string, int64_t> classes;
  for (const auto& part : parts)
    for (const auto& name : part.labels->class_names()) classes[name] = 0;
  std::vector<std::string> names;
  for (auto& [name, number] : classes) {
    number = static_cast<int64_t>(names.size());
    names.push_back(name);
  }
  std::vector<Tensor> labels;
  for (const auto& part : parts) {
    std::vector<int64_t> numbers;
    for (const auto& name : part.labels->class_names()) numbers.push_back(classes.at(name));
    labels.push_back(at::tensor(numbers, at::kLong).index_select(0, part.labels->labels()));
  }
  return make_labels(at::cat(labels), names);
}

std::shared_ptr<LabelSource> joined_by_number(const std::vector<OpenedData>& parts) {
  std::vector<Tensor> labels;
  std::vector<std::string> names;  // the longest row of numbers
  for (const auto& part : parts) {
    labels.push_back(part.labels->labels());
    auto own = part.labels->class_names();
    if (own.size() > names.size()) names = std::move(own);
  }
  return make_labels(at::cat(labels), names);
}

}  // namespace

OpenedData concat(const std::vector<OpenedData>& parts, bool of_tensors) {
  compare(parts, check_alike);
  if (of_tensors && parts.front().images) compare(parts, check_shapes);
  OpenedData out;
  if (parts.front().latents) {
    out.latents = std::make_shared<ConcatLatents>(parts_of(parts, &OpenedData::latents), joined_card(parts));
  } else {
    out.images = std::make_shared<ConcatImages>(parts_of(parts, &OpenedData::images));
  }
  if (parts.front().labels) out.labels = of_tensors ? joined_by_number(parts) : joined_by_name(parts);
  if (parts.front().masks) out.masks = std::make_shared<ConcatMasks>(parts_of(parts, &OpenedData::masks));
  return out;
}

}  // namespace sdg::data
