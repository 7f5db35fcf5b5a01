#include "cli/looks.h"

#include <algorithm>
#include <cmath>

#include "cli/declared.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/data/crop.h"
#include "sdg/network/assign.h"
#include "sdg/network/features.h"
#include "sdg/vision/feature_extractor.h"

namespace sdg::cli {

using regions::Box;

struct Looks::Eyes {
  virtual ~Eyes() = default;
  virtual int64_t side() const = 0;
  virtual Tensor patches(const std::vector<int64_t>& indices) const = 0;
  virtual Tensor keys(const std::vector<int64_t>& indices) const = 0;
  /// Boxes as shares of the square.
  virtual Tensor box_features(const std::vector<int64_t>& indices, const std::vector<Box>& boxes) const = 0;
  virtual conditions::OfflineKmeans clustering() const = 0;
  virtual conditions::PseudoLabelOrigin origin() const = 0;
};

struct Looks::Outside : Eyes {
  Outside(const LookArguments& arguments, const data::ImageSource& of)
      : images(of),
        extractor(
            vision::make_extractor(arguments.extractor, arguments.extractor_weights, parse_device(arguments.device))),
        view(arguments.view),
        cpu(parse_device(arguments.device).is_cpu()) {
    network.extractor = arguments.extractor;
    network.weights = arguments.extractor_weights;
  }

  int64_t side() const override {
    const auto patch = extractor->place_size();
    SDG_CHECK_USAGE(patch > 0, "--extractor: ", extractor->name(),
                    " has no features of patches; vision transformers (dino-, dinov2-) have");
    SDG_CHECK_USAGE(view % patch == 0, "--view: expected a multiple of the network's patches of ", patch,
                    " pixels, got ", view);
    return view / patch;
  }
  Tensor square(int64_t index) const {
    return data::adm_center_crop(data::to_channels(images.read(index), 3), view);  // [3, V, V]
  }
  Tensor squares(const std::vector<int64_t>& indices) const {
    std::vector<Tensor> out(indices.size());
    worker_pool().run(static_cast<int64_t>(indices.size()),
                      [&](int64_t i) { out[static_cast<size_t>(i)] = square(indices[static_cast<size_t>(i)]); });
    return at::stack(out);
  }
  Tensor patches(const std::vector<int64_t>& indices) const override {
    return extractor->places(squares(indices), side()).cpu();
  }
  Tensor keys(const std::vector<int64_t>& indices) const override {
    return extractor->place_keys(squares(indices), side()).cpu();
  }
  Tensor box_features(const std::vector<int64_t>& indices, const std::vector<Box>& boxes) const override {
    std::vector<Tensor> out(indices.size());
    const auto one = [&](int64_t i) {
      const auto picture = square(indices[static_cast<size_t>(i)]);
      const auto& box = boxes[static_cast<size_t>(i)];
      const auto from = [&](double share) {
        return std::clamp<int64_t>(std::llround(std::floor(share * static_cast<double>(view))), 0, view - 1);
      };
      const auto to = [&](double share, int64_t begin) {
        return std::clamp<int64_t>(std::llround(std::ceil(share * static_cast<double>(view))), begin + 1, view);
      };
      const auto left = from(box.left), top = from(box.top);
      const auto cut = picture.slice(1, top, to(box.bottom, top)).slice(2, left, to(box.right, left));
      out[static_cast<size_t>(i)] = extractor->features(cut.contiguous().unsqueeze(0)).cpu();
    };
    const auto count = static_cast<int64_t>(indices.size());
    if (cpu) {
      worker_pool().run(count, one);
    } else {
      for (int64_t i = 0; i < count; ++i) one(i);
    }
    return at::cat(out);
  }
  // As Self-Guided Diffusion clusters: by direction.
  conditions::OfflineKmeans clustering() const override { return {.kmeans = {}, .standardize = false, .l2 = true}; }
  conditions::PseudoLabelOrigin origin() const override {
    return {.made_from = extractor->name(),
            .label_free = to_text(checkpoint::alignment_stage(network).label_free),
            .tapped = cat("middle squares of ", view, " pixels")};
  }

  const data::ImageSource& images;
  std::unique_ptr<vision::FeatureExtractor> extractor;
  recipe::AlignOptions network;
  int64_t view;
  bool cpu;
};

struct Looks::Own : Eyes {
  Own(const LookArguments& arguments, checkpoint::Trained loaded, const data::OpenedData& opened,
      const data::DataOptions& options)
      : trained(std::move(loaded)), dataset(opened, options), device(parse_device(arguments.device)) {
    auto& config = trained.info.config;
    config.cluster.level = cluster::Level::kImage;
    config.cluster.depth = arguments.depth.value_or(config.cluster.depth);
    config.cluster.teacher_time = arguments.time.value_or(config.cluster.teacher_time);
    depth = network::feature_depth(config, *trained.network.model);
    tokens = trained.network.model->feature_tokens(depth);
    constexpr int64_t kImages = 256;
    const auto some = raw(network::evaluation_subset(dataset.size(), std::min(kImages, dataset.size()), 0));
    const auto rows = some.flatten(0, 1);
    mean = rows.mean(0);
    deviation = rows.std(0, /*unbiased=*/false).clamp_min(1e-6);
  }

  Tensor raw(const std::vector<int64_t>& indices) const {
    const auto& config = trained.info.config;
    const network::Tap tap{config.cluster.teacher_time, depth, "flat"};
    const auto flat = network::extract_features(config, trained.network, dataset, indices, {tap}, device).front();
    return flat.view({flat.size(0), tokens, -1});  // [n, L, D]
  }
  int64_t side() const override {
    int64_t out = 1;
    while (out * out < tokens) ++out;
    return out;
  }
  Tensor patches(const std::vector<int64_t>& indices) const override { return (raw(indices) - mean) / deviation; }
  Tensor keys(const std::vector<int64_t>& indices) const override {
    const auto all = patches(indices);
    return all - all.mean(1, true);
  }
  Tensor box_features(const std::vector<int64_t>& indices, const std::vector<Box>& boxes) const override {
    const auto all = patches(indices);
    const auto places = side();
    std::vector<Tensor> out;
    for (size_t i = 0; i < boxes.size(); ++i) {
      const auto scale = static_cast<double>(places);
      const auto& box = boxes[i];
      auto inside = regions::box_map({box.left * scale, box.top * scale, box.right * scale, box.bottom * scale}, places)
                        .to(at::kBool)
                        .flatten();
      if (!inside.any().item<bool>()) {
        const auto at = [&](double a, double b) {
          return std::clamp<int64_t>(std::llround(std::floor((a + b) / 2 * scale)), 0, places - 1);
        };
        inside[at(box.top, box.bottom) * places + at(box.left, box.right)] = true;
      }
      out.push_back(all[static_cast<int64_t>(i)].index_select(0, inside.nonzero().squeeze(1)).mean(0));
    }
    return at::stack(out);
  }
  conditions::OfflineKmeans clustering() const override { return {}; }
  conditions::PseudoLabelOrigin origin() const override {
    conditions::PseudoLabelOrigin out{.made_from = trained.path};
    out.provenance = checkpoint::provenance_of(trained.info);
    out.label_free = to_text(out.provenance.verdict());
    out.tapped = cat("patches after depth ", depth, ", t ", trained.info.config.cluster.teacher_time);
    return out;
  }

  checkpoint::Trained trained;
  data::Dataset dataset;
  at::Device device;
  int64_t depth = 0, tokens = 0;
  Tensor mean, deviation;  // [D]
};

Looks::Looks(const LookArguments& arguments) {
  if (!arguments.own()) {
    SDG_CHECK_USAGE(!arguments.data.empty(), "--data: name the images");
    SDG_CHECK_USAGE(arguments.size, "--size: name the side of the images that the network is to be trained on");
    data::DataOptions options;
    options.path = arguments.data;
    opened_ = data::open_data(options, "");
    size_ = *arguments.size;
    SDG_CHECK_USAGE(opened_.images, arguments.data, ": expected images, it holds latents");
    if (!arguments.extractor.empty()) eyes_ = std::make_unique<Outside>(arguments, *opened_.images);
    return;
  }
  const auto path = checkpoint::find_checkpoint(arguments.run, arguments.checkpoint);
  auto trained = checkpoint::load_trained(path, parse_device(arguments.device), arguments.weights);
  const auto options = data_options(arguments.data, trained);
  opened_ = data::open_data(options, arguments.data.empty() ? trained.info.config.config_dir : "");
  if (arguments.data.empty()) checkpoint::check_own_data(trained, opened_);
  SDG_CHECK_USAGE(opened_.images, opened_.path, ": expected images, it holds latents");
  size_ = arguments.size.value_or(options.size);
  say(cat(trained.path, ": ", trained.info.config.model.name, "; ", opened_.description));
  eyes_ = std::make_unique<Own>(arguments, std::move(trained), opened_, options);
}

Looks::~Looks() = default;

Tensor Looks::picture(int64_t index) const {
  return data::adm_center_crop(opened_.images->read(index), size_);
}

int64_t Looks::side() const {
  SDG_CHECK_USAGE(eyes_,
                  "name what to look with: --extractor (a vision transformer) or --run or --checkpoint (a "
                  "network of yours)");
  return eyes_->side();
}

Tensor Looks::patches(const std::vector<int64_t>& indices) const {
  side();
  return eyes_->patches(indices);
}

Tensor Looks::keys(const std::vector<int64_t>& indices) const {
  side();
  return eyes_->keys(indices);
}

Tensor Looks::box_features(const std::vector<int64_t>& indices, const std::vector<Box>& boxes) const {
  SDG_CHECK_USAGE(eyes_, "--clusters: name what sees the boxes: --extractor, --run or --checkpoint");
  std::vector<Box> shares;
  const auto scale = 1 / static_cast<double>(size_);
  for (const auto& box : boxes)
    shares.push_back(box.empty() ? Box{0, 0, 1, 1}
                                 : Box{box.left * scale, box.top * scale, box.right * scale, box.bottom * scale});
  return eyes_->box_features(indices, shares);
}

conditions::OfflineKmeans Looks::clustering() const {
  return eyes_ ? eyes_->clustering() : conditions::OfflineKmeans();
}

conditions::PseudoLabelOrigin Looks::origin() const {
  auto out = eyes_ ? eyes_->origin() : conditions::PseudoLabelOrigin();
  out.images = data::fingerprint(opened_);
  return out;
}

void declare_looks(CLI::App& app, LookArguments& arguments) {
  declare_source(app, arguments.run, arguments.checkpoint, "look with the patches of");
  app.add_option("--data", arguments.data, "images; default: the run's own")->type_name("PATH");
  declare(
      app, "--size", arguments.size,
      own<int64_t>({.help = "side of the images that a network is to be trained on; default: the run's", .min = 1}));
  declare(app, "--extractor", arguments.extractor, declared("eval.extractor"), "Looks instead of a run.");
  app.add_option("--extractor-weights", arguments.extractor_weights,
                 "its weights, where they are not in the default place")
      ->type_name("FILE")
      ->needs("--extractor");
  declare(app, "--view", arguments.view,
          own<int64_t>({.help = "with --extractor: side at which it sees the middle square of an image, a multiple of "
                                "its patches; default 224",
                        .min = 8,
                        .max = 4096}))
      ->needs("--extractor");
  declare(app, "--depth", arguments.depth, declared("cluster.depth"), "Default: the run's cluster.depth.");
  declare(app, "--time", arguments.time, declared("cluster.teacher_time"), "Default: the run's cluster.teacher_time.");
  declare_weights(app, arguments.weights);
  declare_device(app, arguments.device);
}

void check_looks(const CLI::App& app, const LookArguments& arguments) {
  if (!arguments.extractor.empty())
    refuse(app, {"--run", "--checkpoint"}, "names a network to look with, and --extractor another");
  if (!arguments.own())
    refuse(app, {"--depth", "--time", "--weights"}, "says where in a network of yours to look; name it with --run");
}

}  // namespace sdg::cli
