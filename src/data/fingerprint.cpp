#include "sdg/data/fingerprint.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/io/digest.h"

namespace sdg::data {
namespace {

/// The images of a data set as they are stored: files, rows of a tensor, latents.
class Stored {
 public:
  explicit Stored(const OpenedData& data) : data_(data) {
    if (data.latents) rows_ = data.latents->stored();
  }

  uint64_t bytes(int64_t index) const {
    if (!data_.latents) return data_.images->stored_size(index);
    uint64_t sum = 0;
    for (const auto& tensor : rows_) sum += tensor.nbytes() / static_cast<uint64_t>(tensor.size(0));
    return sum;
  }

  std::string digest(int64_t index) const {
    io::Digest out;
    for (const auto& tensor : rows_) out.tensor(tensor[index]);
    if (data_.latents) return out.hex();
    try {
      if (const auto file = data_.images->stored(index)) {
        out.bytes(*file);
      } else {
        out.tensor(data_.images->read(index));
      }
    } catch (const std::exception&) {
      out.text("cannot be read");
    }
    return out.hex();
  }

 private:
  const OpenedData& data_;
  std::vector<Tensor> rows_;
};

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

void add_contents(const OpenedData& data, Fingerprint& out) {
  const Stored stored(data);
  std::vector<uint64_t> sizes(static_cast<size_t>(out.images));
  for_all(out.images, [&](int64_t i) { sizes[static_cast<size_t>(i)] = stored.bytes(i); });
  uint64_t total = 0;
  for (const auto size : sizes) total += size;
  const bool whole = total <= static_cast<uint64_t>(Fingerprint::kWhole) && out.images <= Fingerprint::kWholeImages;
  const int64_t looked_at = whole ? out.images : std::min(out.images, Fingerprint::kSamples);
  std::vector<std::string> digests(static_cast<size_t>(looked_at));
  const auto position = [&](int64_t i) {  // the first and the last are among them
    return looked_at > 1 ? i * (out.images - 1) / (looked_at - 1) : 0;
  };
  for_all(looked_at, [&](int64_t i) { digests[static_cast<size_t>(i)] = stored.digest(position(i)); });
  io::Digest contents;
  contents.text(whole ? "whole" : "sampled");
  for (const auto size : sizes) contents.number(static_cast<int64_t>(size));
  out.contents = contents.text(joined(digests)).hex();
  if (!whole) return;
  std::sort(digests.begin(), digests.end());
  out.bag = joined(digests);
}

// A tar of a folder has the folder's own name before every path.
size_t common_folders(const OpenedData& data, int64_t count) {
  std::string common = data.images->short_name(0);
  common.resize(common.find_last_of('/') == std::string::npos ? 0 : common.find_last_of('/') + 1);
  for (int64_t i = 1; i < count && !common.empty(); ++i) {
    const auto name = data.images->short_name(i);
    while (!name.starts_with(common)) {
      common.pop_back();
      common.resize(common.find_last_of('/') == std::string::npos ? 0 : common.find_last_of('/') + 1);
    }
  }
  return common.size();
}

std::string names_of(const OpenedData& data, int64_t count) {
  io::Digest out;
  if (data.latents) {
    if (data.latents->name(0).empty()) return "";
    for (int64_t i = 0; i < count; ++i) out.text(data.latents->name(i));
    return out.hex();
  }
  if (data.images->short_name(0).empty()) return "";
  const auto skipped = common_folders(data, count);
  for (int64_t i = 0; i < count; ++i) out.text(std::string_view(data.images->short_name(i)).substr(skipped));
  return out.hex();
}

}  // namespace

Fingerprint fingerprint(const OpenedData& data) {
  Fingerprint out;
  out.images = data.size();
  if (out.images == 0) return out;
  add_contents(data, out);
  if (data.latents && !data.latents->card().images_fingerprint.empty())
    out.encoded = parse_fingerprint(data.latents->card().images_fingerprint, data.path).contents;
  out.names = names_of(data, out.images);
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
