#pragma once
#include <vector>

#include "sdg/cludi/denoiser.h"
#include "sdg/cludi/generation.h"
#include "sdg/cludi/noise_schedule.h"

namespace sdg::cludi {

/// What the student of one step is given, of C copies of B rows.
struct StudentInput {
  Tensor features;                       ///< [C, B, F]
  std::vector<Tensor> targets;           ///< the teacher's assignment of each head [C, B, K]
  Tensor n;                              ///< level of each copy, int64 [C]
  Tensor noise;                          ///< standard normal [C, B, E]
  bool self_condition = false;           ///< shown its own first estimate
  const DropoutDraw* dropout = nullptr;  ///< masks; null drops nothing
};

struct StudentOutput {
  Tensor z_0;                  ///< estimate [C, B, E]
  std::vector<Tensor> logits;  ///< of each head
  Tensor embedding;            ///< of softmax(logits / temperature) [C, B, E]
  Tensor weights;              ///< of the levels [C], divided by the noise factor where options say so
};

/// One pass of training: the targets' embedding is noised and estimated, with self-conditioning (Chen, Zhang & Hinton,
/// "Analog bits", 2208.04202) from a first estimate without gradient.
StudentOutput student_pass(const Denoiser& denoiser, const NoiseSchedule& schedule, const CludiOptions& options,
                           const StudentInput& input);

struct Losses {
  Tensor diffusion;   ///< mean over copies of weight times the mean square of the embeddings' difference
  Tensor assignment;  ///< pair_loss of the heads
  Tensor total;       ///< in the options' proportion
};

/// What a step lowers: the student against the teacher's embedding [C, B, E] and logits.
Losses losses(const Tensor& teacher_embedding, const std::vector<Tensor>& teacher_logits, const StudentOutput& student,
              const TrainOptions& options);

}  // namespace sdg::cludi
