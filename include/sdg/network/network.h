#pragma once
#include <memory>

#include "sdg/cluster/prototype_head.h"
#include "sdg/core/precision.h"
#include "sdg/flow/prediction_table.h"
#include "sdg/model/velocity_model.h"
#include "sdg/network/projector.h"
#include "sdg/network/stored_conditions.h"
#include "sdg/network/vector_prior.h"
#include "sdg/recipe/run_config.h"

namespace sdg::network {

/// The backbone and, where features are clustered online, the head that clusters them; while training with an
/// alignment also its projector.
struct Network {
  std::shared_ptr<model::VelocityModel> model;
  cluster::PrototypeHead head{nullptr};
  Projector projector{nullptr};
  flow::PredictionTable predictions;               ///< from the model's answers to velocities
  std::shared_ptr<const StoredConditions> stored;  ///< where conditions are rows of these; null elsewhere
  std::shared_ptr<const VectorPrior> vectors;      ///< draws what images are told where no image's is (prior learned)
  Precision precision = Precision::kFloat32;       ///< in which the model computes
  Tensor rested;            ///< where clusters rest, int32 [images, L or 1]: of each training image, -1 without one
  bool keep_casts = false;  ///< bf16 copies of its weights last until forget_casts(), where there is a gradient

  /// The model at a point of its own path, in `precision`; what comes out has the type of x_t.
  model::ForwardOutput forward(const Tensor& x_t, const Tensor& t, const model::Condition& condition,
                               const model::ForwardOptions& options = {}) const;
  /// dx_t/dt at (x_t, t) of our path, whatever the model predicts. x_t [N, C, S, S], t [N].
  Tensor velocity(const Tensor& x_t, const Tensor& t, const model::Condition& condition) const;
  /// All that it says there.
  struct Answer {
    Tensor velocity;  ///< as above
    Tensor variance;  ///< ForwardOutput::variance
    Tensor inner;     ///< the velocity by the inner head; undefined unless `with_inner`
  };
  Answer answer(const Tensor& x_t, const Tensor& t, const model::Condition& condition, bool with_inner = false) const;
  void to(const at::Device& device);
  void set_training(bool training);
  /// Every parameter and buffer under `prefix` + public name (the head's as projection_head.* and prototypes.weight,
  /// the projector's as projector.*).
  std::map<std::string, Tensor> tensors(const std::string& prefix) const;
  /// Copies values from `tensors`; throws Error, naming `where`, for missing or misshapen ones.
  void load(const std::map<std::string, Tensor>& tensors, const std::string& prefix, const std::string& where);
  /// The same, but parameters become the given tensors where type and device agree, so that a mapped file is not held
  /// twice.
  void adopt(const std::map<std::string, Tensor>& tensors, const std::string& prefix, const std::string& where);
  /// Throws Error `where: prefix + name holds NaN or infinity` for the first such tensor; reads everything once.
  void check_finite(const std::string& prefix, const std::string& where) const;
};

/// `classes` is the number of condition indices (source label and kmeans); ignored otherwise. Where conditions are
/// `stored` rows, these say what the network is told.
/// On the meta device there is no head: LibTorch's own modules cannot be made there.
Network build_network(const recipe::RunConfig& config, int64_t classes, const at::Device& device,
                      std::shared_ptr<const StoredConditions> stored = nullptr);

/// Gives the network a projector onto features of `width`. Throws UsageError for a depth that it does not have.
void add_projector(const recipe::RunConfig& config, Network& network, int64_t width, const at::Device& device);

/// Block whose tokens are aligned (align.depth).
int64_t alignment_depth(const recipe::RunConfig& config, const model::VelocityModel& model);

/// Block of the average with whose tokens these are aligned (align.extractor self). Throws UsageError where it has
/// other tokens.
int64_t alignment_target_depth(const recipe::RunConfig& config, const model::VelocityModel& model);

/// Block whose tokens are clustered.
int64_t feature_depth(const recipe::RunConfig& config, const model::VelocityModel& model);

/// Does every patch have its own cluster and condition?
bool patch_level(const recipe::RunConfig& config);

/// Width of the pooled features.
int64_t feature_dim(const recipe::RunConfig& config, const model::VelocityModel& model);

/// tokens [N, T, D] -> [N, F]: flat all patch tokens side by side (F = L*D), mean their mean (D), cls the first token
/// (D).
Tensor pool_tokens(cluster::Pooling pooling, const Tensor& tokens, int64_t extra_tokens);
/// The same by cluster.pooling. At patch level every patch is a row of its own: [N*L, D], image by image.
Tensor pool_tokens(const recipe::RunConfig& config, const Tensor& tokens, int64_t extra_tokens);

/// Tokens [N, T, D] after each of the blocks `depths`, in one pass up to the deepest, with the network's graph where
/// gradients are on; otherwise as features_at.
std::vector<Tensor> tokens_at(const recipe::RunConfig& config, const Network& network, const Tensor& x,
                              const Tensor& eps, const Tensor& t, const std::vector<int64_t>& depths);

/// Pooled features [N, F] (patch level [N*L, D]) of images seen at time t through noise eps, without condition and
/// without gradient; blocks beyond the tapped one are not computed (unless cluster.early_exit is off). x, eps [N, C, S,
/// S]; t [N].
Tensor features_at(const recipe::RunConfig& config, const Network& network, const Tensor& x, const Tensor& eps,
                   const Tensor& t);

/// The same with the network's graph, where gradients are on.
Tensor features_with_gradient(const recipe::RunConfig& config, const Network& network, const Tensor& x,
                              const Tensor& eps, const Tensor& t);

/// ids int64 [N] (patch level [N, L]) -> the condition the backbone gets for them: an index, a prototype of `teacher`,
/// scaled where condition.token says so, or the stored row of that number. Throws Error where images are told what is
/// seen in them (condition.token embedding) and no rows of that are stored.
model::Condition condition_for(const recipe::RunConfig& config, const Network& teacher, const Tensor& ids,
                               const Tensor& drop = {});

/// Rows [..., D] as they are told: of the length condition.token_scale, or as they are (condition.token raw).
Tensor as_tokens(const recipe::RunConfig& config, const Tensor& rows);

/// The condition under which a network is trained without clusters: before the change, for source none, and for
/// features.
model::Condition unconditional_for(const recipe::RunConfig& config);

/// First step in which the head learns.
int64_t cluster_step(const recipe::RunConfig& config);

/// First step in which training may put guidance into the network (guided.start), where conditions have begun.
int64_t guided_step(const recipe::RunConfig& config);

/// First step in which clusters rest; -1: none (cluster.end).
int64_t rest_step(const recipe::RunConfig& config);

/// First step that trains with conditions (0 for label, kmeans and file, train.steps for source none), unless clusters
/// hold still earlier (condition.stable).
int64_t change_step(const recipe::RunConfig& config);

}  // namespace sdg::network
