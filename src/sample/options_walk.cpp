// Options of solvers and grids.
#include "sdg/sample/options.h"

namespace sdg::sample {

void SampleOptions::visit_walk(config::Fields& fields) {
  fields("diffusion", &diffusion,
         {.help = "Solvers euler_maruyama and stochastic_heun: how much noise is added at time t and taken away again "
                  "by the score. sigma "
                  "falls with the noise that is left, linear as 1 - t; constant; sbdm is that of the path's own "
                  "diffusion, much early on; decreasing; increasing_decreasing, most in the middle.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("diffusion_norm", &diffusion_norm,
         {.help = "Solvers euler_maruyama and stochastic_heun: factor of the diffusion. 0 adds no noise; larger ones "
                  "need more steps.",
          .min = 0,
          .max = 100,
          .resume = config::Resume::kFree,
          .later = true});
  fields("last_step", &last_step,
         {.help = "Solvers euler_maruyama and stochastic_heun: the last step adds no noise. mean takes only its drift; "
                  "tweedie jumps to the "
                  "prediction of the image, euler goes on along the velocity, which on this path is nearly the same; "
                  "none has no such step, which leaves the images a little noisy.",
          .resume = config::Resume::kFree,
          .later = true});
  fields(
      "last_step_size", &last_step_size,
      {.help =
           "Solvers euler_maruyama and stochastic_heun: length of the last step; the steps before it share the rest.",
       .unit = "time",
       .min = 0.0001,
       .max = 0.9999,
       .resume = config::Resume::kFree,
       .later = true});
  fields("times", &times,
         {.help = "Grid list: the times from 0 (noise) to 1 (image) at which the solver steps, with commas between, "
                  "both ends included: \"0,0.2,0.5,1\".",
          .resume = config::Resume::kFree,
          .later = true});
  fields("shift", &shift,
         {.help = "Grid shifted: the noise share 1 - t becomes a (1 - t) / (1 + (a - 1) (1 - t)). Above 1 more steps "
                  "lie near the noise, below 1 near the image.",
          .min = 0.01,
          .max = 100,
          .resume = config::Resume::kFree,
          .later = true});
  fields("karras_rho", &karras_rho,
         {.help = "Grid karras: steps are equal in the rho-th root of the noise-to-signal ratio, which goes from 80 to "
                  "0.002 and then to 0. Larger ones put more steps near the image.",
          .min = 1,
          .max = 100,
          .resume = config::Resume::kFree,
          .later = true});
  fields("rtol", &rtol,
         {.help = "Solvers dopri5 and dopri5_each: error of a step that is allowed, as a share of the state.",
          .min = 1e-12,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("atol", &atol,
         {.help = "Solvers dopri5 and dopri5_each: error of a step that is allowed besides.",
          .min = 1e-12,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("eta", &eta,
         {.help = "Solver ddim: noise that a step adds, as a share of what ddpm with small variance adds; 0 adds none.",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("variance", &variance,
         {.help = "Solver ddpm: variance of a step. small and large are the two bounds of DDPM; learned is what the "
                  "network says, between them (DiT, ADM with learn_sigma).",
          .resume = config::Resume::kFree,
          .later = true});
  fields("churn", &churn,
         {.help = "Solver edm: noise put back before each step, over all steps; EDM took 0 to 80. 0 puts none back.",
          .min = 0,
          .max = 10000,
          .resume = config::Resume::kFree,
          .later = true});
  fields("churn_min", &churn_min,
         {.help = "Solver edm: noise is put back only above this noise-to-signal ratio.",
          .min = 0,
          .resume = config::Resume::kFree,
          .later = true});
  fields("churn_max", &churn_max,
         {.help = "Solver edm: noise is put back only below this noise-to-signal ratio.",
          .min = 0,
          .resume = config::Resume::kFree,
          .later = true});
  fields("churn_noise", &churn_noise,
         {.help = "Solver edm: standard deviation of the noise that is put back.",
          .min = 0,
          .max = 2,
          .resume = config::Resume::kFree,
          .later = true});
  fields(
      "precision", &precision,
      {.help = "Of the network's matrix products, convolutions and attention while drawing, as train.precision: tf32 "
               "needs a GPU, bf16 a GPU or a CPU that computes it natively.",
       .resume = config::Resume::kFree,
       .later = true});
  fields("graph", &graph,
         {.help = "cuda records what the network queues on a GPU for one evaluation and replays it for the others, "
                  "which spares small networks the waiting for the host; what cannot be recorded is said, and called "
                  "each time. It needs a GPU and a program built with CUDA's headers (docs/gpu.md).",
          .resume = config::Resume::kFree,
          .only_speed = true,
          .later = true});
}

}  // namespace sdg::sample
