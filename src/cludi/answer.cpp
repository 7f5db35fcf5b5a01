// How a trained CLUDI answers: many draws of each row, averaged.
#include <ATen/ATen.h>

#include <atomic>
#include <cmath>
#include <mutex>

#include "sdg/cludi/trainer.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"

namespace sdg::cludi {
namespace {

constexpr int64_t kBlock = 512;  // rows drawn together: never other ones, so that threads change no rounding
constexpr int kDrawBits = 32;    // sample = draw * 2^32 + row

}  // namespace

cluster::Answer Trainer::answer_block(const Denoiser& denoiser, const Tensor& features, int64_t first,
                                      const std::function<void()>& on_draw) const {
  const auto rows = features.slice(0, first, first + kBlock).to(features_.device(), at::kFloat);
  const auto conditions = denoiser->conditions(rows.unsqueeze(0));
  const auto& how = options_.answer;
  Tensor sum;
  for (int64_t draw = 0; draw < how.draws; ++draw) {
    const auto samples = rng::consecutive((draw << kDrawBits) + first, rows.size(0));
    const auto noise = [&](int64_t i) {
      return rng::normal(stream(rng::Purpose::kSampleNoise, i), samples, {denoiser->embedding_width()},
                         features_.device())
          .unsqueeze(0);
    };
    auto logits = draw_assignments(denoiser, schedule_, conditions, options_.draw, {how.steps, how.early_stop}, noise)
                      .logits.front()
                      .squeeze(0);  // [B, K]
    if (how.mean == Mean::kProbabilities) logits = (logits / options_.draw.temperature).softmax(1);
    sum = sum.defined() ? sum + logits : logits;
    on_draw();
  }
  sum = sum / static_cast<double>(how.draws);
  cluster::Answer out;
  out.ids = sum.argmax(1).cpu();
  out.probabilities = how.mean == Mean::kProbabilities ? sum : (sum / options_.draw.temperature).softmax(1);
  out.embeddings = denoiser->embedding(out.probabilities, 0).cpu();
  out.probabilities = out.probabilities.cpu();
  return out;
}

cluster::Answer Trainer::answer(const Tensor& features, const Progress& progress) const {
  SDG_CHECK(features.dim() == 2 && features.size(1) == student_->features(), "cludi: trained on features of width ",
            student_->features(), ", got ", to_string(features.sizes()));
  const at::NoGradGuard no_grad;
  const auto& denoiser = options_.answer.weights == Weights::kAverage ? average_ : student_;
  const int64_t blocks = (features.size(0) + kBlock - 1) / kBlock;
  std::vector<cluster::Answer> parts(static_cast<size_t>(blocks));
  std::mutex told;
  int64_t draws_done = 0;
  const auto on_draw = [&] {
    const std::lock_guard lock(told);
    if (progress) progress(++draws_done, blocks * options_.answer.draws);
  };
  worker_pool().run(blocks, [&](int64_t b) {
    parts[static_cast<size_t>(b)] = answer_block(denoiser, features, b * kBlock, on_draw);
  });
  const auto joined = [&](Tensor cluster::Answer::* member) {
    std::vector<Tensor> tensors;
    for (const auto& part : parts) tensors.push_back(part.*member);
    return at::cat(tensors);
  };
  const auto scale = std::sqrt(static_cast<double>(denoiser->embedding_width()));
  return {joined(&cluster::Answer::ids), joined(&cluster::Answer::probabilities),
          (denoiser->unit_centers() * scale).detach().cpu(), joined(&cluster::Answer::embeddings)};
}

}  // namespace sdg::cludi
