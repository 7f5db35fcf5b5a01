#include "sdg/data/fingerprint.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/io/digest.h"

namespace sdg::data {
namespace {

std::string digest_of(const StoredSource& stored, int64_t index) {
  io::Digest out;
  try {
    stored.digest(index, out);
  } catch (const std::exception&) {
    out.text("cannot be read");
  }
  return out.hex();
}

// In pieces, as one call an image would cost more than what it does.
template <class Work>
void for_all(int64_t count, const Work& work) {
  constexpr int64_t kPiece = 256;
  worker_pool().run((count + kPiece - 1) / kPiece, [&](int64_t piece) {
    for (int64_t i = piece * kPiece; i < std::min(count, (piece + 1) * kPiece); ++i) work(i);
  });
}

std::string joined(const std::vector<std::string>& digests) {
  io::Digest out;
  for (const auto& digest : digests) out.text(digest);
  return out.hex();
}

void add_contents(const StoredSource& stored, Fingerprint& out) {
  std::vector<uint64_t> sizes(static_cast<size_t>(out.images));
  for_all(out.images, [&](int64_t i) { sizes[static_cast<size_t>(i)] = stored.stored_size(i); });
  uint64_t total = 0;
  for (const auto size : sizes) total += size;
  const bool whole = total <= static_cast<uint64_t>(Fingerprint::kWhole) && out.images <= Fingerprint::kWholeImages;
  const int64_t looked_at = whole ? out.images : std::min(out.images, Fingerprint::kSamples);
  std::vector<std::string> digests(static_cast<size_t>(looked_at));
  const auto position = [&](int64_t i) {  // the first and the last are among them
    return looked_at > 1 ? i * (out.images - 1) / (looked_at - 1) : 0;
  };
  for_all(looked_at, [&](int64_t i) { digests[static_cast<size_t>(i)] = digest_of(stored, position(i)); });
  io::Digest contents;
  contents.text(whole ? "whole" : "sampled");
  for (const auto size : sizes) contents.number(static_cast<int64_t>(size));
  out.contents = contents.text(joined(digests)).hex();
  if (!whole) return;
  std::sort(digests.begin(), digests.end());
  out.bag = joined(digests);
}

std::string names_of(const StoredSource& stored) {
  if (stored.short_name(0).empty()) return "";
  io::Digest out;
  for (int64_t i = 0; i < stored.size(); ++i) out.text(stored.short_name(i));
  return out.hex();
}

}  // namespace

Fingerprint fingerprint(const OpenedData& data) {
  Fingerprint out;
  out.images = data.size();
  if (out.images == 0) return out;
  add_contents(data.stored(), out);
  if (data.latents && !data.latents->card().images_fingerprint.empty())
    out.encoded = parse_fingerprint(data.latents->card().images_fingerprint, data.path).contents;
  out.names = names_of(data.stored());
  if (data.labels) {
    const auto labels = data.labels->labels();
    const auto classes = data.labels->class_names();
    out.labels = io::Digest().tensor(labels).hex();
    out.classes_id = joined(classes);
    if (classes.size() <= Fingerprint::kClassesNamed) {
      out.classes = classes;
      const auto sizes = at::bincount(labels, {}, static_cast<int64_t>(classes.size()));
      out.class_sizes.assign(sizes.const_data_ptr<int64_t>(), sizes.const_data_ptr<int64_t>() + sizes.numel());
    }
  }
  if (data.masks) {
    std::vector<std::string> digests(static_cast<size_t>(std::min(out.images, Fingerprint::kSamples)));
    const auto looked_at = static_cast<int64_t>(digests.size());
    for_all(looked_at, [&](int64_t i) {
      const auto index = looked_at > 1 ? i * (out.images - 1) / (looked_at - 1) : 0;
      digests[static_cast<size_t>(i)] = io::Digest().tensor(data.masks->mask(index)).hex();
    });
    out.masks = joined(digests);
  }
  return out;
}

}  // namespace sdg::data
