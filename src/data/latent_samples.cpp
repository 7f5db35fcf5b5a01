#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/data/samples.h"

namespace sdg::data {
namespace {

class LatentSamples : public SampleSource {
 public:
  LatentSamples(std::shared_ptr<LatentSource> latents, const DataOptions& options) : source_(std::move(latents)) {
    const LatentCard& card = source_->card();
    SDG_CHECK_USAGE(options.size == card.size && options.channels == card.channels, "data: these latents are ",
                    card.channels, "x", card.size, "x", card.size, ", the model is to see ", options.channels, "x",
                    options.size, "x", options.size, ": set data.size=", card.size,
                    " and data.channels=", card.channels);
    SDG_CHECK_USAGE(!options.flip || source_->has_flips(),
                    "data.flip: these latents hold no mirrored images, and a mirrored latent is not the latent of the "
                    "mirrored image: encode with --flip or set data.flip=false");
  }

  int64_t size() const override { return source_->size(); }
  int64_t channels() const override { return source_->card().channels; }
  int64_t side() const override { return source_->card().size; }
  bool has_noise() const override { return source_->has_noise(); }

  std::vector<int64_t> read_rows(at::IntArrayRef indices, const Tensor& out, const Draws& draws) const override {
    check_shape(out, {static_cast<int64_t>(indices.size()), channels(), side(), side()}, "data: rows to fill");
    const int64_t values = channels() * side() * side();
    const auto* mirrored = draws.mirrored.defined() ? draws.mirrored.const_data_ptr<bool>() : nullptr;
    const auto* noise = draws.noise.defined() ? draws.noise.const_data_ptr<float>() : nullptr;
    auto* row = out.mutable_data_ptr<float>();
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto at = static_cast<int64_t>(i) * values;
      source_->read_into(indices[i], mirrored && mirrored[i], noise ? noise + at : nullptr, row + at);
    }
    return indices.vec();
  }

  int64_t read_pixels(int64_t /*index*/, uint8_t* /*out*/) const override {
    throw Error("data: latents have no pixels until they are decoded");
  }

 private:
  std::shared_ptr<LatentSource> source_;
};

}  // namespace

std::shared_ptr<SampleSource> make_samples(std::shared_ptr<LatentSource> latents, const DataOptions& options) {
  return std::make_shared<LatentSamples>(std::move(latents), options);
}

}  // namespace sdg::data
