#include "sdg/network/network.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/flow/path.h"
#include "sdg/model/catalog.h"
#include "sdg/network/flat_parameters.h"
#include "sdg/recipe/source.h"

namespace sdg::network {
namespace {

model::ModelShape model_shape(const recipe::RunConfig& config, int64_t classes, const StoredConditions* stored) {
  model::ModelShape shape;
  shape.size = config.data.size;
  shape.channels = config.data.channels;
  shape.inner = config.guided.inner;
  shape.strength = config.guided.learn == recipe::LearnGuidance::kGft;
  const auto facts = recipe::facts_of(config);
  if (stored && !facts.online) {
    shape.condition = stored->kind();
    shape.classes = stored->classes;
    shape.map_channels = stored->map_channels;
    shape.condition_dim = stored->width();
    return shape;
  }
  using model::ConditionKind;
  shape.condition = facts.indices         ? ConditionKind::kIndex
                    : !facts.online       ? ConditionKind::kNone
                    : patch_level(config) ? ConditionKind::kPatchVector
                                          : ConditionKind::kVector;
  shape.classes = facts.indices ? classes : 0;
  return shape;
}

// Conditions of patches, one for each.
void check_patches(const recipe::RunConfig& config, const Network& network) {
  if (!network.stored || !network.stored->values.defined() || network.stored->values.dim() != 3) return;
  const auto told = network.stored->values.size(1), patches = network.model->patch_tokens();
  SDG_CHECK(told == patches, config.condition.file, ": holds patch_vectors of ", told,
            " patches an image, the network ", "has ", patches);
}

}  // namespace

void Network::to(const at::Device& device) {
  model->to(device);
  predictions.to(device);
  if (head) head->to(device);
  if (projector) projector->to(device);
}

model::ForwardOutput Network::forward(const Tensor& x_t, const Tensor& t, const model::Condition& condition,
                                      const model::ForwardOptions& options) const {
  if (precision == Precision::kFloat32) return model->forward(x_t, t, condition, options);
  const PrecisionScope scope(precision, x_t.device(), keep_casts && at::GradMode::is_enabled());
  auto out = model->forward(x_t, t, condition, options);
  const auto widen = [&](Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(x_t.scalar_type());
  };
  widen(out.prediction);
  widen(out.variance);
  widen(out.features);
  widen(out.inner);
  for (auto& tokens : out.all_features) widen(tokens);
  return out;
}

Tensor Network::velocity(const Tensor& x_t, const Tensor& t, const model::Condition& condition) const {
  return answer(x_t, t, condition).velocity;
}

Network::Answer Network::answer(const Tensor& x_t, const Tensor& t, const model::Condition& condition,
                                bool with_inner) const {
  const auto point = predictions.at(x_t, t);
  model::ForwardOptions options;
  options.inner = with_inner;
  const auto out = forward(point.input, point.time, condition, options);
  const bool of_betas = flow::has_steps(model->predicts().path);  // SiT's further channels say nothing
  return {predictions.velocity(out.prediction, point), of_betas ? out.variance : Tensor(),
          with_inner ? predictions.velocity(out.inner, point) : Tensor()};
}

void Network::set_training(bool training) {
  model->train(training);
  if (head) head->train(training);
  if (projector) projector->train(training);
}

std::map<std::string, Tensor> Network::tensors(const std::string& prefix) const {
  auto out = named_tensors(prefix, *model);
  if (head) out.merge(named_tensors(prefix, *head));
  if (projector) out.merge(named_tensors(prefix + kProjectorPrefix, *projector));
  return out;
}

void Network::load(const std::map<std::string, Tensor>& source, const std::string& prefix, const std::string& where) {
  const at::NoGradGuard no_grad;
  for (auto& [name, target] : tensors(prefix)) {
    const auto found = source.find(name);
    SDG_CHECK(found != source.end(), where, ": no tensor ", name, ": the file belongs to another configuration");
    SDG_CHECK(found->second.sizes() == target.sizes(), where, ": ", name, " is ", to_string(found->second.sizes()),
              ", this configuration needs ", to_string(target.sizes()));
    target.copy_(found->second);
  }
}

void Network::adopt(const std::map<std::string, Tensor>& source, const std::string& prefix, const std::string& where) {
  const at::NoGradGuard no_grad;
  const auto one = [&](const std::string& short_name, const Tensor& target, bool may_adopt) {
    const auto name = prefix + short_name;
    const auto found = source.find(name);
    SDG_CHECK(found != source.end(), where, ": no tensor ", name, ": the file belongs to another configuration");
    const auto& value = found->second;
    SDG_CHECK(value.sizes() == target.sizes(), where, ": ", name, " is ", to_string(value.sizes()),
              ", this configuration needs ", to_string(target.sizes()));
    const bool same = may_adopt && value.scalar_type() == target.scalar_type() && value.device() == target.device() &&
                      value.is_contiguous();
    if (same) {
      target.set_data(value);
    } else {
      target.copy_(value);
    }
  };
  const auto all = [&](const torch::nn::Module& module, const std::string& below = "") {
    for (const auto& item : module.named_parameters()) one(below + item.key(), item.value(), true);
    for (const auto& item : module.named_buffers()) one(below + item.key(), item.value(), false);
  };
  all(*model);
  if (head) all(*head);
  if (projector) all(*projector, kProjectorPrefix);
}

void Network::check_finite(const std::string& prefix, const std::string& where) const {
  for (const auto& [name, tensor] : tensors(prefix)) sdg::check_finite(tensor, where, name);
}

Network build_network(const recipe::RunConfig& config, int64_t classes, const at::Device& device,
                      std::shared_ptr<const StoredConditions> stored) {
  Network network;
  network.stored = std::move(stored);
  network.model =
      model::build(config.model, model_shape(config, classes, network.stored.get()), recipe::seed_of(config), device);
  check_patches(config, network);
  network.predictions = flow::PredictionTable(network.model->predicts(), config.flow.sigma_min, device);
  if (recipe::facts_of(config).online && !device.is_meta()) {
    const int64_t dim = network.model->dim();
    const int64_t hidden = config.cluster.hidden > 0 ? config.cluster.hidden : dim / 2;
    network.head = cluster::PrototypeHead(
        cluster::PrototypeHeadOptions{feature_dim(config, *network.model), hidden, dim, config.cluster.clusters,
                                      config.cluster.standardize, config.condition.token == recipe::Token::kCentroid});
    cluster::initialize(*network.head, recipe::seed_of(config));
    network.head->to(device);
  }
  return network;
}

int64_t alignment_depth(const recipe::RunConfig& config, const model::VelocityModel& model) {
  const int64_t blocks = model.blocks();
  const int64_t depth = config.align.depth < 0 ? (2 * blocks + 6) / 7 - 1 : config.align.depth;
  SDG_CHECK_USAGE(depth < blocks, "align.depth: the network has blocks 0 to ", blocks - 1, ", got ", depth);
  return depth;
}

int64_t alignment_target_depth(const recipe::RunConfig& config, const model::VelocityModel& model) {
  const int64_t blocks = model.blocks(), own = alignment_depth(config, model);
  const int64_t depth = config.align.target_depth < 0 ? (5 * blocks + 6) / 7 - 1 : config.align.target_depth;
  SDG_CHECK_USAGE(depth < blocks, "align.target_depth: the network has blocks 0 to ", blocks - 1, ", got ", depth);
  SDG_CHECK_USAGE(model.feature_tokens(depth) == model.feature_tokens(own),
                  "align.extractor: self needs two blocks of as many tokens; blocks ", own, " and ", depth, " have ",
                  model.feature_tokens(own), " and ", model.feature_tokens(depth));
  return depth;
}

void add_projector(const recipe::RunConfig& config, Network& network, int64_t width, const at::Device& device) {
  const auto in = network.model->feature_dim(alignment_depth(config, *network.model));
  network.projector = Projector(in, config.align.hidden, width, recipe::seed_of(config));
  network.projector->to(device);
}

int64_t feature_depth(const recipe::RunConfig& config, const model::VelocityModel& model) {
  const int64_t depth = config.cluster.depth < 0 ? model.default_feature_depth() : config.cluster.depth;
  SDG_CHECK_USAGE(depth < model.blocks(), "cluster.depth: the network has blocks 0 to ", model.blocks() - 1, ", got ",
                  depth);
  return depth;
}

bool patch_level(const recipe::RunConfig& config) {
  return recipe::facts_of(config).online && config.cluster.level == cluster::Level::kPatch;
}

int64_t feature_dim(const recipe::RunConfig& config, const model::VelocityModel& model) {
  const auto depth = feature_depth(config, model), width = model.feature_dim(depth);
  if (patch_level(config)) return width;
  SDG_CHECK_USAGE(config.cluster.pooling != cluster::Pooling::kCls || model.has_cls_token(),
                  "cluster.pooling: cls needs a network with a cls token");
  return config.cluster.pooling == cluster::Pooling::kFlat ? model.feature_tokens(depth) * width : width;
}

Tensor pool_tokens(const recipe::RunConfig& config, const Tensor& tokens, int64_t extra_tokens) {
  if (patch_level(config)) return tokens.slice(1, extra_tokens).flatten(0, 1);  // [N*L, D]
  return pool_tokens(config.cluster.pooling, tokens, extra_tokens);
}

Tensor pool_tokens(cluster::Pooling pooling, const Tensor& tokens, int64_t extra_tokens) {
  if (pooling == cluster::Pooling::kCls) {
    SDG_CHECK(extra_tokens > 0, "pooling cls: expected tokens before the patches, there are none");
    return tokens.select(1, 0);  // [N, D]
  }
  const auto patches = tokens.slice(1, extra_tokens);  // [N, L, D]
  return pooling == cluster::Pooling::kMean ? patches.mean(1) : patches.flatten(1);
}

std::vector<Tensor> tokens_at(const recipe::RunConfig& config, const Network& network, const Tensor& x,
                              const Tensor& eps, const Tensor& t, const std::vector<int64_t>& depths) {
  const auto sample = flow::constant_velocity(x, eps, t, config.flow.sigma_min);
  model::ForwardOptions options;
  options.feature_depths = depths;
  options.features_only = config.cluster.early_exit;
  const auto point = network.predictions.at(sample.x_t, t);
  return network.forward(point.input, point.time, unconditional_for(config), options).all_features;
}

Tensor features_with_gradient(const recipe::RunConfig& config, const Network& network, const Tensor& x,
                              const Tensor& eps, const Tensor& t) {
  const auto tokens = tokens_at(config, network, x, eps, t, {feature_depth(config, *network.model)});
  return pool_tokens(config, tokens.front(), network.model->extra_tokens());
}

Tensor features_at(const recipe::RunConfig& config, const Network& network, const Tensor& x, const Tensor& eps,
                   const Tensor& t) {
  const at::NoGradGuard no_grad;
  return features_with_gradient(config, network, x, eps, t);
}

Tensor as_tokens(const recipe::RunConfig& config, const Tensor& rows) {
  if (config.condition.token == recipe::Token::kRaw) return rows;
  const double scale =
      config.condition.token_scale > 0 ? config.condition.token_scale : std::sqrt(static_cast<double>(rows.size(-1)));
  return rows * (scale / rows.norm(2, {-1}, true).clamp_min(1e-12));
}

model::Condition condition_for(const recipe::RunConfig& config, const Network& teacher, const Tensor& ids,
                               const Tensor& drop) {
  if (teacher.stored) return teacher.stored->of(ids, drop);
  if (!teacher.head) return model::Condition::given(ids, drop);
  SDG_CHECK(!recipe::tells_embeddings(config),
            "condition.token embedding: there are no embeddings of images to draw under");
  const at::NoGradGuard no_grad;
  const auto weight =
      config.condition.token == recipe::Token::kCentroid ? teacher.head->centroids() : teacher.head->prototypes->weight;
  auto shape = ids.sizes().vec();
  shape.push_back(weight.size(1));
  const auto rows = weight.index_select(0, ids.flatten()).view(shape);  // [N, D] or [N, L, D]
  return model::Condition::given(as_tokens(config, rows), drop);
}

model::Condition unconditional_for(const recipe::RunConfig& config) {
  const auto facts = recipe::facts_of(config);
  const bool own_token =
      !facts.conditions || (facts.online && config.condition.null_token == recipe::NullToken::kSeparate);
  return own_token ? model::Condition::unconditional() : model::Condition::null();
}

int64_t cluster_step(const recipe::RunConfig& config) {
  return std::llround(config.cluster.start * static_cast<double>(config.train.steps));
}

int64_t rest_step(const recipe::RunConfig& config) {
  if (!recipe::facts_of(config).online || config.cluster.end >= 1) return -1;
  return std::llround(config.cluster.end * static_cast<double>(config.train.steps));
}

int64_t guided_step(const recipe::RunConfig& config) {
  return std::llround(config.guided.start * static_cast<double>(config.train.steps));
}

int64_t change_step(const recipe::RunConfig& config) {
  const auto facts = recipe::facts_of(config);
  if (!facts.conditions) return config.train.steps;
  if (!facts.later) return 0;
  return std::llround(config.condition.change * static_cast<double>(config.train.steps));
}

}  // namespace sdg::network
