#include "sdg/cludi/options.h"

#include "sdg/core/error.h"

namespace sdg::cludi {

void NoiseOptions::visit(config::Fields& fields) {
  fields("levels", levels, {.help = "Noise levels n = 0 (nearly clean) … levels - 1.", .min = 2, .max = 100000});
  fields("schedule", schedule,
         {.help = "abar: sqrt (1 - sqrt(u + 1e-4), what the public code runs), cosine, sigmoid or linear."});
  fields("rescale", rescale,
         {.help = "abar becomes abar / (rescale - (rescale - 1) abar), as if noise were sqrt(rescale) times as large.",
          .min = 1e-6,
          .max = 1e6});
  fields("factor", factor,
         {.help = "The noise itself is multiplied by this, wherever it is added.", .min = 1e-6, .max = 1e6});
  fields("weight_cap", weight_cap,
         {.help = "A level's weight is its signal-to-noise ratio abar / (1 - abar), at most this.", .min = 1e-9});
  fields("divide_weight", divide_weight,
         {.help = "Divide that weight by noise.factor (never where model.multiple_k)."});
}

void ModelOptions::visit(config::Fields& fields) {
  fields("embedding", embedding, {.help = "Width of the assignment embeddings.", .min = 1, .max = 65536});
  fields("dropout", dropout,
         {.help = "Dropout of both projections in training.", .unit = "fraction", .min = 0, .max = 0.99});
  fields("nonlinear", nonlinear, {.help = "A hidden layer between an embedding and its logits."});
  fields("multiple_k", multiple_k, {.help = "Three heads, of K, 2 K and 4 K clusters; K is the answer."});
  fields(
      "centers", centers,
      {.help = "Which clusters' centres are trained: none (frozen), those of the 2 K and 4 K heads (further), all."});
  fields("predicts", predicts, {.help = "What the network answers: the embedding (data) or the velocity."});
}

void DrawOptions::visit(config::Fields& fields) {
  fields("clamp", clamp,
         {.help = "Each estimate of the embedding is cut to +- this while drawing; 0 does not cut.", .min = 0});
  fields("eta", eta, {.help = "Share of new noise in each step: 0 is DDIM, 1 is ancestral.", .min = 0, .max = 1});
  fields("temperature", temperature, {.help = "Of the softmax that makes logits an assignment.", .min = 1e-4});
}

void TrainOptions::visit(config::Fields& fields) {
  fields("epochs", epochs, {.help = "Passes over the features.", .min = 1, .max = 1000000});
  fields("batch", batch, {.help = "Rows a step; at most all.", .unit = "rows", .min = 2, .max = 1 << 30});
  fields("drop_last", drop_last, {.help = "Leave out an epoch's last batch where it is smaller."});
  fields("copies", copies,
         {.help = "Independent draws of each row in a step, of teacher and student.", .min = 1, .max = 4096});
  fields("steps", steps, {.help = "Steps in which the teacher draws an assignment.", .min = 1, .max = 1000});
  fields("teacher", teacher, {.help = "Who draws the targets: the student as it is, or the average of its weights."});
  fields(
      "teacher_gradient", teacher_gradient,
      {.help = "The gradient also goes through the targets and all the steps that drew them (teacher student only)."});
  fields("half_targets", half_targets, {.help = "Round the teacher's assignments to 16 bits."});
  fields("average", average,
         {.help = "Decay of the weight average at its n-th update, at most (1 + n) / (10 + n).", .min = 0, .max = 1});
  fields("average_updates", average_updates, {.help = "Updates of the average in each step.", .min = 1, .max = 100});
  fields("noise_low", noise_low,
         {.help = "Least length of the noise added to a student's features of length 1.", .min = 0});
  fields("noise_high", noise_high, {.help = "Largest such length; each copy draws its own between the two.", .min = 0});
  fields("drop_low", drop_low,
         {.help = "Least share of a student's features set to 0.", .unit = "fraction", .min = 0, .max = 1});
  fields(
      "drop_high", drop_high,
      {.help = "Largest such share; each copy draws its own between the two.", .unit = "fraction", .min = 0, .max = 1});
  fields("self_condition", self_condition,
         {.help = "Probability that a step's student is shown its own first estimate.",
          .unit = "fraction",
          .min = 0,
          .max = 1});
  fields("diffusion", diffusion, {.help = "Weight of the distance between the two embeddings.", .min = 0});
  fields("assignment", assignment, {.help = "Weight of the cross-entropy between the two assignments.", .min = 0});
  fields("row_temperature", row_temperature, {.help = "Of the softmax over clusters.", .min = 1e-4});
  fields("column_temperature", column_temperature, {.help = "Of the softmax over rows.", .min = 1e-4});
  fields("pair_weight", pair_weight,
         {.help = "Whose copy's weight counts where the teacher's assignment is the target (teacher: as in the public "
                  "code)."});
  fields("head_sum", head_sum,
         {.help = "How the losses of three heads are added: doubled (L <- 2 L + next) or plain."});
  fields("clip", clip, {.help = "Longest gradient; 0 does not clip.", .min = 0});
  fields("clipping", clipping, {.help = "Of which gradients: each parameter's own, or that of all."});
  fields("lr", lr, {.help = "Learning rate of AdamW after the warm-up.", .min = 0, .max = 1});
  fields("lr_end", lr_end, {.help = "Learning rate at the end of the cosine.", .min = 0, .max = 1});
  fields("warmup", warmup, {.help = "Linear warm-up from 0.", .unit = "epochs", .min = 0});
  fields("beta1", beta1, {.help = "AdamW's first moment.", .min = 0, .max = 0.9999});
  fields("beta2", beta2, {.help = "AdamW's second moment.", .min = 0, .max = 0.99999});
  fields("weight_decay", weight_decay,
         {.help = "Of matrices; biases, norms and centres have none.", .min = 0, .max = 1});
  fields("centers_lr", centers_lr, {.help = "Learning rate of trained centres, in multiples of lr.", .min = 0});
}

void AnswerOptions::visit(config::Fields& fields) {
  constexpr auto kFree = config::Resume::kFree;
  fields("steps", steps, {.help = "Steps of each draw of the answer.", .min = 1, .max = 1000, .resume = kFree});
  fields("draws", draws, {.help = "Draws of each row that are averaged.", .min = 1, .max = 100000, .resume = kFree});
  fields("early_stop", early_stop,
         {.help = "Stop drawing where fewer than this many steps are left.", .min = 0, .max = 999, .resume = kFree});
  fields("mean", mean, {.help = "What is averaged: logits, or the assignments made of them.", .resume = kFree});
  fields("weights", weights, {.help = "Whose weights answer: the student's or their average.", .resume = kFree});
}

void CludiOptions::visit(config::Fields& fields) {
  fields(
      "precision", precision,
      {.help = "Of the network's products, where it learns and where it answers: float32, tf32 (GPUs) or bf16 (GPUs, "
               "and CPUs that multiply it themselves). Losses, weights and levels stay float32."});
  fields.group("noise", noise, "Noise levels of the assignment embeddings.");
  fields.group("model", model, "The network.");
  fields.group("draw", draw, "How an assignment is drawn.");
  fields.group("train", train, "How the network learns.");
  fields.group("answer", answer, "How the trained network answers.");
}

CludiOptions preset(Preset which) {
  CludiOptions out;
  if (which == Preset::kAsCode) return out;
  out.noise.schedule = Schedule::kCosine;
  out.noise.rescale = 49;
  out.noise.factor = 1;
  out.noise.divide_weight = false;
  out.train.teacher = Weights::kAverage;
  out.train.teacher_gradient = false;
  out.train.half_targets = false;
  out.train.average_updates = 1;
  out.train.pair_weight = PairWeight::kStudent;
  out.train.head_sum = HeadSum::kPlain;
  out.answer.weights = Weights::kAverage;
  return out;
}

void check(const CludiOptions& options) {
  const auto& train = options.train;
  SDG_CHECK_USAGE(!train.teacher_gradient || train.teacher == Weights::kStudent,
                  "cludi.train.teacher_gradient: no gradient goes through an average; set it to false, or "
                  "cludi.train.teacher to student");
  SDG_CHECK_USAGE(train.noise_low <= train.noise_high, "cludi.train.noise_low: ", train.noise_low,
                  " is above noise_high, ", train.noise_high);
  SDG_CHECK_USAGE(train.drop_low <= train.drop_high, "cludi.train.drop_low: ", train.drop_low, " is above drop_high, ",
                  train.drop_high);
  SDG_CHECK_USAGE(
      options.model.centers != Centers::kFurther || options.model.multiple_k,
      "cludi.model.centers: further are the centres of the 2 K and 4 K heads, which only model.multiple_k has");
  for (const auto steps : {train.steps, options.answer.steps})
    SDG_CHECK_USAGE(steps <= options.noise.levels, "cludi: ", steps, " steps of ", options.noise.levels,
                    " noise levels");
  SDG_CHECK_USAGE(options.answer.early_stop <= options.answer.steps,
                  "cludi.answer.early_stop: ", options.answer.early_stop, " of ", options.answer.steps,
                  " steps leaves none");
}

}  // namespace sdg::cludi
