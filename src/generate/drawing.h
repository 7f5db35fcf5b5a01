#pragma once
#include "generate/recorded_answers.h"
#include "sdg/core/reducer.h"
#include "sdg/core/rng.h"
#include "sdg/generate/generate.h"
#include "sdg/sample/denoiser.h"
#include "sdg/sample/solver.h"

namespace sdg::generate {

/// Images computed together, at most. On the CPU a group is one thread's work; a GPU wants more at once.
int64_t group_size(const at::Device& device);

/// Images [begin, end) in groups. Kernels may round a row differently among other rows: on the CPU, where an image has
/// the same bits whatever is asked for beside it, groups are `whole`, at multiples of their size, and may begin before
/// the images and end after them. Else only what is wanted is computed.
std::vector<RowRange> groups_of(int64_t begin, int64_t end, int64_t size, bool whole);

/// Of a network that is told what is seen in images the cluster of each stored row; undefined of all others.
Tensor clusters_of_rows(const network::Network& network);

/// Consecutive images before they are pictures.
struct Group {
  Tensor x, clusters;
};

/// How the images of a request are drawn: what each begins with, what each is told, and the walk.
struct Drawing {
  const recipe::RunConfig& config;
  const network::Network& network;
  const Tensor& prior;
  at::Device device;
  const Request& request;
  std::vector<double> grid{};                                                       ///< of the walk
  std::function<void(const Tensor& x_t, double t, const sample::Answer&)> watch{};  ///< sees each evaluation
  Effort* effort = nullptr;                                                         ///< null: nothing is counted
  RecordedAnswers* recorded = nullptr;  ///< null: the network is called each time

  bool conditional() const { return prior.defined() && !draws_unconditionally(request); }
  /// Are images told vectors that the learned prior draws?
  bool draws_vectors() const;
  rng::Stream stream(rng::Purpose purpose, int64_t step = 0) const;

  /// int64 [n], of maps [n, L]; -1 where an image has no cluster of its own.
  Tensor draw_clusters(const std::vector<int64_t>& samples) const;
  /// [n, C, S, S] on the device.
  Tensor draw_noise(const std::vector<int64_t>& samples) const;
  /// What guides and bounds, under these conditions, for one walk of the images `samples`.
  sample::Denoiser denoiser(const Tensor& clusters, const std::vector<int64_t>& samples) const;
  /// The times of the walk, and before that of the network's fitted grid, where the options ask for it.
  std::vector<double> find_grid() const;
  /// How many images go together: fewer than group_size where --batch bounds a GPU's memory.
  int64_t group() const;
  /// These images. `after_step` sees each step.
  Group draw_group(const RowRange& images, const sample::StepFn& after_step = {}) const;
  /// Images from their noise.
  Tensor walk(const Tensor& noise, const Tensor& clusters, const std::vector<int64_t>& samples,
              const sample::StepFn& after_step) const;

 private:
  sample::Denoiser under(const network::Network& which, const model::Condition& condition) const;
  sample::Denoiser at_strength(const model::Condition& condition) const;
  model::Condition given(const recipe::RunConfig& of, const network::Network& which, const Tensor& clusters,
                         const std::vector<int64_t>& samples) const;
  Tensor other_clusters(const Tensor& clusters, const std::vector<int64_t>& samples) const;
  sample::Denoiser guided(const Tensor& clusters, const std::vector<int64_t>& samples) const;
};

}  // namespace sdg::generate
