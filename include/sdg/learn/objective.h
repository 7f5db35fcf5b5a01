#pragma once
#include <memory>
#include <string>
#include <vector>

#include "sdg/core/figure.h"
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"
#include "sdg/data/loader.h"
#include "sdg/flow/prediction_table.h"
#include "sdg/learn/draws.h"
#include "sdg/model/velocity_model.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

struct StepResult;

/// One shard of a step's batch on its way through the network. Each is one thread's work.
struct Shard {
  int64_t number = 0;             ///< which of the step's shards
  int64_t batch = 0;              ///< B, images of the whole step, on all ranks
  std::vector<int64_t> index;     ///< [n] of the images in the data set
  std::vector<int64_t> sample;    ///< [n] their global counters
  Tensor x;                       ///< [n, C, S, S] data, on the device
  Draws draws;                    ///< of these images
  Tensor ids;                     ///< int64 [n] or [n, L]: conditions given; undefined where there are none
  Tensor tokens;                  ///< [n, p] what is told of them where that is what is seen in each
  model::Condition told;          ///< what is told of images that have an index; else known in the pass
  model::ForwardOptions forward;  ///< objectives that want features of the one pass ask for them here
  bool no_waiting = false;        ///< losses stay on the device, finite or not
  bool keep_graph = false;        ///< the pass's graph is needed once more, after the shards
  bool last = false;              ///< of this rank in this step: those before it are through, no pass runs beside it
  bool lent = false;              ///< what was computed is written over by the next pass
  flow::TrainingPoint point;      ///< where the network is asked
  model::ForwardOutput output;    ///< its answer there, with the trained network's graph
};

/// What an objective adds to a step.
struct Contribution {
  Figure loss;        ///< with its weight, over the whole batch: what is minimised
  Tensor gradient;    ///< [n] of what this rank steps (LearnerState::stepped) or of a part of that; of the whole batch;
                      ///< undefined where the step has none, on all ranks
  int64_t first = 0;  ///< where in what this rank steps the gradient begins
};

/// One of the losses whose sum a training step minimises. A step calls, in this order and for every objective:
///
///   begin         once                      what of the last step is left is forgotten
///   before_pass   each shard, its thread    own looks at the images; wishes for the network's pass
///   after_pass    each shard, its thread    computes the shard's loss and gradient
///   take          each shard, its thread    takes what was computed
///   join          once                      what needs the whole batch; the objective's loss and gradient
///   keep or undo  once                      the step counts and state moves on, or nothing of it has happened
///
/// What before_pass and after_pass compute may be recorded and then replayed without a call (RecordedPasses). So they
/// read no number of the device, and what of them lasts is what after_pass answers.
///
/// On a device the host does not wait for a step to learn whether it was finite. Then join does not look, keep is told
/// by StepResult::bad, a scalar on the device under which state stays as it was, and once that is read settled() says
/// how many of the last steps did not count, so that what the host counts follows.
///
/// Every rank has some images of the step's batch. From join on, ranks go together: what join throws it throws on all.
/// State that only some objective has is its own to save, and the same on all ranks.
class Objective {
 public:
  virtual ~Objective() = default;
  /// For messages: "flow", "clustering".
  virtual std::string name() const = 0;
  /// Has it anything to do in the step that comes next?
  virtual bool active() const { return true; }

  virtual void begin(int64_t shards) = 0;
  virtual void before_pass(Shard& /*shard*/) {}
  /// Some of the tensors may be undefined, the same of every shard.
  virtual std::vector<Tensor> after_pass(Shard& shard) = 0;
  /// What after_pass computed of the shard: it, or of shards that are lent a copy, is to be kept.
  virtual void take(const Shard& shard, std::vector<Tensor> computed) = 0;
  /// Puts its figures into `result`. Throws Error where the loss is not finite or cannot be had.
  virtual Contribution join(StepResult& result) = 0;
  virtual void keep(const data::Batch& /*batch*/, StepResult& /*result*/) {}
  virtual void undo() {}
  /// Of the steps kept since the last call the last `undone` did not count.
  virtual void settled(size_t /*undone*/) {}

  virtual void save(tensors::TensorFile& /*file*/) const {}
  virtual void load(const tensors::TensorFile& /*file*/, const std::string& /*where*/) {}
};

}  // namespace sdg::learn
