#pragma once
#include <string>
#include <vector>

#include "sdg/data/dataset.h"

/// What a data set is, in a few hundred bytes, so that whatever goes by the position of an image (a resumed run,
/// pseudo-labels, stored features) notices that the images are no longer the ones it was made of.
namespace sdg::data {

/// Each part is a digest (io/digest.h) or a list, so that a mismatch can say what changed. Paths do not count, only
/// what is below them: a folder, the same folder elsewhere and a tar of it have one fingerprint. Images as a tensor
/// file have another one than the same images as files.
///
/// Contents are digested whole up to kWhole bytes and kWholeImages images. Beyond that they are the sizes of all files
/// and the bytes of kSamples images, evenly spread over the set: another order, another count and files of other sizes
/// are noticed, but not an image elsewhere that was replaced by one of exactly the same size.
struct Fingerprint {
  static constexpr int64_t kWhole = int64_t{256} << 20;
  static constexpr int64_t kWholeImages = 200000;
  static constexpr int64_t kSamples = 256;

  int64_t images = 0;
  std::string contents;              ///< of the images as stored, in order
  std::string bag;                   ///< the same in any order; "" where contents were sampled
  std::string encoded;               ///< of latents: contents of the images they were made of, where they know them
  std::string names;                 ///< of the files' names below the root, in order; "" where images have none
  std::string labels;                ///< "" where there are none
  std::string masks;                 ///< "" where there are none
  std::string classes_id;            ///< of the names of the classes as bytes, in order; "" where there are none
  std::vector<std::string> classes;  ///< for messages: of at most kClassesNamed classes
  std::vector<int64_t> class_sizes;  ///< images of each of these
  static constexpr size_t kClassesNamed = 2000;

  bool known() const { return images > 0; }
};

/// Reads at most kWhole bytes, and the size of every file: seconds at 1.3 million images. Files that cannot be read
/// count by their size.
Fingerprint fingerprint(const OpenedData& data);

/// As JSON, and back; `where` names the file in messages. Throws Error for malformed text.
std::string to_text(const Fingerprint& fingerprint);
Fingerprint parse_fingerprint(const std::string& text, const std::string& where);

/// What differs, a phrase each: "class cat is now zebra", "601 images, there were 600".
struct Changes {
  std::vector<std::string> images;  ///< other images, or another order: nothing may go by their positions
  std::vector<std::string> labels;  ///< classes, labels and masks
  std::vector<std::string> names;   ///< of files: nothing depends on them
};
Changes changes(const Fingerprint& before, const Fingerprint& now);

/// Are they one and the same images, or latents of them? Then what was made for one fits the other, image by image.
bool same_images(const Fingerprint& a, const Fingerprint& b);

/// All of them as one phrase, the labels' first, as they explain the others; "" where there are none.
std::string to_text(const Changes& changes);

}  // namespace sdg::data
