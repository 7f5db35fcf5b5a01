#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/conditions/offline_kmeans.h"
#include "sdg/data/dataset.h"
#include "sdg/regions/box.h"

/// What `boxes` and `masks` look at images with: an outside vision transformer, or a trained network of ours.
namespace sdg::cli {

struct LookArguments {
  std::string run, checkpoint, data, extractor, extractor_weights, device = "auto";
  checkpoint::Weights weights = checkpoint::Weights::kEma;
  std::optional<int64_t> depth, size;
  std::optional<double> time;
  int64_t view = 224;

  bool own() const { return !run.empty() || !checkpoint.empty(); }
  bool any() const { return own() || !extractor.empty(); }
};

/// Declares --data, --size, --extractor, --extractor-weights, --view, --run, --checkpoint, --depth, --time, --weights,
/// --device.
void declare_looks(CLI::App& app, LookArguments& arguments);
/// Refuses options that say how to look with what is not looked with.
void check_looks(const CLI::App& app, const LookArguments& arguments);

/// Images, and vectors of their patches: the patches of the middle square of each image, which is what training sees of
/// it. For many callers at once, but for the first call.
class Looks {
 public:
  explicit Looks(const LookArguments& arguments);
  ~Looks();

  const data::OpenedData& opened() const { return opened_; }
  int64_t images() const { return opened_.size(); }
  /// Of the network that is to be trained, S.
  int64_t size() const { return size_; }
  /// uint8 [C, S, S]: the image as training sees it.
  Tensor picture(int64_t index) const;

  /// Patches of a side. Throws UsageError where there is nothing to look with, and for outside networks without
  /// patches.
  int64_t side() const;
  /// What is clustered, [n, L, D]: an outside network's patch tokens; tokens of ours, each number less its mean over
  /// images and divided by its deviation.
  Tensor patches(const std::vector<int64_t>& indices) const;
  /// What LOST looks at, [n, L, D]: the keys of an outside network's last attention layer; tokens of ours as above,
  /// less their mean over the image, so that correlations have a sign.
  Tensor keys(const std::vector<int64_t>& indices) const;
  /// Features of boxes in squares of size(), [n, F]: of an outside network those of the picture cut to the box; of ours
  /// the mean of the patches whose middles lie in it (where there are none, the patch at its middle).
  Tensor box_features(const std::vector<int64_t>& indices, const std::vector<regions::Box>& boxes) const;

  /// How whole features are brought to k-means.
  conditions::OfflineKmeans clustering() const;
  /// What was looked with, for the file that is written.
  conditions::PseudoLabelOrigin origin() const;

 private:
  struct Eyes;
  struct Outside;
  struct Own;

  data::OpenedData opened_;
  int64_t size_ = 0;
  std::unique_ptr<Eyes> eyes_;
};

}  // namespace sdg::cli
