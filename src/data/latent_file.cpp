#include <cmath>

#include "data/sources.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/core/utf8.h"
#include "sdg/data/latents.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::data {
namespace {

Tensor optional(const tensors::TensorFile& file, const std::string& name) {
  const auto found = file.tensors.find(name);
  return found == file.tensors.end() ? Tensor() : found->second;
}

void check_values(const Tensor& values, const Tensor& mean, const std::string& name, const std::string& where) {
  const auto type = values.scalar_type();
  SDG_CHECK(type == at::kFloat || type == at::kHalf || type == at::kBFloat16, where, ": expected `", name,
            "` in float32, float16 or bfloat16, got ", type);
  SDG_CHECK(values.sizes() == mean.sizes(), where, ": `", name, "` is ", to_string(values.sizes()), ", but `mean` is ",
            to_string(mean.sizes()));
}

std::vector<std::string> lines(const Tensor& bytes) {
  std::vector<std::string> out(1);
  const auto* data = bytes.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < bytes.numel(); ++i) {
    if (data[i] == '\n') {
      out.emplace_back();
    } else {
      out.back() += static_cast<char>(data[i]);
    }
  }
  if (out.back().empty()) out.pop_back();
  for (auto& name : out) name = from_utf8(name);
  return out;
}

constexpr uint64_t kMostChecked = uint64_t{1} << 30;  // bytes: a second; a file of ImageNet would take minutes

/// From a mapped file: memory is the system's page cache.
class LatentFile : public LatentSource {
 public:
  explicit LatentFile(const std::filesystem::path& path) : where_(path.string()), file_(path) {
    const tensors::TensorFile file = tensors::read_tensors(path, kMostChecked);
    card_ = parse_latent_card(file.metadata, where_);
    mean_ = file.at("mean", where_);
    SDG_CHECK(mean_.dim() == 4 && mean_.size(0) > 0 && mean_.size(1) == card_.channels && mean_.size(2) == card_.size &&
                  mean_.size(3) == card_.size,
              where_, ": expected `mean` [N, ", card_.channels, ", ", card_.size, ", ", card_.size, "], got ",
              to_string(mean_.sizes()));
    check_values(mean_, mean_, "mean", where_);
    logvar_ = optional(file, "logvar");
    mean_flipped_ = optional(file, "mean_flipped");
    logvar_flipped_ = optional(file, "logvar_flipped");
    if (logvar_.defined()) check_values(logvar_, mean_, "logvar", where_);
    if (mean_flipped_.defined()) check_values(mean_flipped_, mean_, "mean_flipped", where_);
    if (logvar_flipped_.defined()) check_values(logvar_flipped_, mean_, "logvar_flipped", where_);
    SDG_CHECK(logvar_flipped_.defined() == (logvar_.defined() && mean_flipped_.defined()), where_,
              ": expected `logvar_flipped` exactly where there are `logvar` and `mean_flipped`");
    labels_ = optional(file, "labels");
    if (const Tensor names = optional(file, "names"); names.defined()) {
      SDG_CHECK(names.scalar_type() == at::kByte && names.dim() == 1, where_, ": expected `names` uint8 [bytes], got ",
                names.scalar_type(), " ", to_string(names.sizes()));
      names_ = lines(names);
      SDG_CHECK(static_cast<int64_t>(names_.size()) == size(), where_, ": ", names_.size(), " names of ", size(),
                " latents");
    }
  }

  int64_t size() const override { return mean_.size(0); }
  const LatentCard& card() const override { return card_; }
  bool has_flips() const override { return mean_flipped_.defined(); }
  bool has_noise() const override { return logvar_.defined(); }
  const Tensor& labels() const { return labels_; }  // [N], or undefined

  std::string short_name(int64_t index) const override {
    return names_.empty() ? std::string() : names_.at(static_cast<size_t>(index));
  }
  uint64_t stored_size(int64_t /*index*/) const override {
    uint64_t sum = 0;
    for (const auto& tensor : stored()) sum += tensor.nbytes() / static_cast<uint64_t>(tensor.size(0));
    return sum;
  }
  void digest(int64_t index, io::Digest& out) const override {
    for (const auto& tensor : stored()) out.tensor(tensor[index]);
  }

  void read_into(int64_t index, bool flipped, const float* noise, float* out) const override {
    SDG_CHECK(index >= 0 && index < size(), "data: expected an index in [0, ", size(), "), got ", index);
    SDG_CHECK(!flipped || has_flips(), where_, ": holds no latents of mirrored images");
    file_.check_not_shortened();
    const Tensor mean = (flipped ? mean_flipped_ : mean_)[index].to(at::kFloat);
    const Tensor logvar = noise && has_noise() ? (flipped ? logvar_flipped_ : logvar_)[index].to(at::kFloat) : Tensor();
    const auto* means = mean.const_data_ptr<float>();
    const auto* logvars = logvar.defined() ? logvar.const_data_ptr<float>() : nullptr;
    const auto scale = static_cast<float>(card_.scale), shift = static_cast<float>(card_.shift);
    for (int64_t i = 0; i < mean.numel(); ++i) {
      const float raw = logvars ? means[i] + std::exp(0.5F * logvars[i]) * noise[i] : means[i];
      out[i] = scale * (raw - shift);
    }
  }

  Tensor raw_means(int64_t first, int64_t count) const override {
    file_.check_not_shortened();
    return mean_.narrow(0, first, count).to(at::kFloat);
  }

 private:
  // Everything that is stored of the images, each [N, C, S, S].
  std::vector<Tensor> stored() const {
    std::vector<Tensor> out;
    for (const auto& tensor : {mean_, logvar_, mean_flipped_, logvar_flipped_}) {
      if (tensor.defined()) out.push_back(tensor);
    }
    return out;
  }

  std::string where_;
  io::RandomAccessFile file_;  // what the tensors are views of
  LatentCard card_;
  Tensor mean_, logvar_, mean_flipped_, logvar_flipped_, labels_;
  std::vector<std::string> names_;
};

}  // namespace

OpenedData open_latents(const std::filesystem::path& path) {
  const auto latents = std::make_shared<LatentFile>(path);
  OpenedData data;
  data.latents = latents;
  if (const auto& labels = latents->labels(); labels.defined())
    data.labels = number_labels(labels, latents->size(), path.string());
  const auto& card = latents->card();
  data.description =
      describe(cat("latents ", path.string(), " (", card.channels, "x", card.size, "x", card.size, ")"), data);
  return data;
}

}  // namespace sdg::data
