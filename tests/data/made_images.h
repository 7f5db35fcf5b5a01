#pragma once
// Small data sets made on the spot.
#include <cstdio>
#include <set>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/data/dataset.h"
#include "sdg/image/image.h"
#include "support/temporary_folder.h"

namespace sdg::test {

/// uint8 [channels, height, width]; each `key` gives another picture.
inline Tensor made_image(int64_t key, int64_t channels = 1, int64_t height = 8, int64_t width = 8) {
  return (rng::uniform({7, rng::Purpose::kTest, 0}, {key}, {channels, height, width})[0] * 256).to(at::kByte);
}

/// Images in memory, of which some are broken; counts its reads.
class MadeSource : public data::ImageSource {
 public:
  explicit MadeSource(int64_t count, std::set<int64_t> broken = {}, int64_t channels = 1)
      : count_(count), channels_(channels), broken_(std::move(broken)) {}
  int64_t size() const override { return count_; }
  std::string name(int64_t index) const override { return cat("made-", index); }
  Tensor read(int64_t index) const override {
    ++reads;
    if (broken_.contains(index)) throw Error(name(index) + ": cut short");
    return made_image(index, channels_);
  }
  mutable std::atomic<int64_t> reads{0};

 private:
  int64_t count_, channels_;
  std::set<int64_t> broken_;
};

inline data::DataOptions made_options(int64_t size = 8, int64_t channels = 1, double max_broken = 0.5) {
  data::DataOptions options;
  options.size = size;
  options.channels = channels;
  options.max_broken = max_broken;
  return options;
}

/// One regular file of a ustar archive; the archive ends with 1,024 zero bytes.
inline std::string tar_member(const std::string& name, const std::string& bytes) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  const auto octal = [](uint64_t number, int digits) {
    char text[24];
    std::snprintf(text, sizeof(text), "%0*lo", digits, static_cast<unsigned long>(number));
    return std::string(text);
  };
  put(0, name);
  put(124, octal(bytes.size(), 11));
  put(148, "        ");
  block[156] = '0';
  put(257, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + '\0' + ' ');
  block += bytes;
  block.resize((block.size() + 511) / 512 * 512);
  return block;
}

}  // namespace sdg::test
