#include "sdg/sample/options.h"

namespace sdg::sample {

void SampleOptions::visit(config::Fields& fields) {
  fields("steps", &steps,
         {.help = "Equal steps from noise to image. More are more exact and slower in proportion; 25 is enough for "
                  "most networks.",
          .unit = "steps",
          .min = 1,
          .max = 10000,
          .resume = config::Resume::kFree});
  fields(
      "guidance", &guidance,
      {.help =
           "w of v_u + w (v_c - v_u): 1.0 is conditional, 0 is unconditional, above 1 images follow their cluster more "
           "closely and vary less. Each step costs two evaluations unless w is 0 or 1. (sgfm's scale s is w = 1 + s.)",
       .min = 0,
       .max = 1000,
       .resume = config::Resume::kFree});
  fields("guidance_begin", &guidance_begin,
         {.help = "Guidance acts only from this time on; before it w is 1 (arXiv 2404.07724: guiding the noisiest part "
                  "costs variety).",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree});
  fields("guidance_end", &guidance_end,
         {.help = "Guidance acts only up to this time; after it w is 1.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree});
  fields("solver", &solver,
         {.help = "Evaluations per step are 1 for euler, 2 for midpoint and heun, 3 for heun3, 4 for rk4. dopri5 "
                  "chooses its own steps (steps is ignored), and its images depend on the batch they were made in; "
                  "dopri5_each chooses them image by image, slower and without that. adams_bashforth is of order 2 "
                  "like heun at one evaluation a step: it remembers the one before; so are dpmpp_2m (DPM-Solver++) and "
                  "unipc, in the logarithm of the signal-to-noise ratio. euler_maruyama and stochastic_heun (2 "
                  "evaluations) add noise on the way (SiT's SDE; diffusion, last_step) and need more steps, 100 and "
                  "above. ddim (eta) and ddpm (variance) are the steps of networks that predict noise, edm is EDM's "
                  "Heun with noise put back on the way (churn; 2 evaluations).",
          .resume = config::Resume::kFree});
  fields("grid", &grid,
         {.help = "Where the steps lie: uniform, at equal steps of t; own, at equal steps of the path that the network "
                  "was trained on (model.path), which with solver euler is DDIM's spacing; respaced and strided, at "
                  "the whole step numbers of that path that guided-diffusion takes for \"25\" and \"ddim25\"; shifted, "
                  "more of them near the noise (shift); cosine, at equal angles of signal and noise; karras, EDM's "
                  "(karras_rho); list, at the given times; fitted, where the velocity of this network bends most, "
                  "found by 64 steps of 64 images before each drawing (sdg fit-grid finds them once, for times).",
          .resume = config::Resume::kFree});
  fields("count", &count,
         {.help = "How many images to make.", .unit = "images", .min = 1, .resume = config::Resume::kFree});
  fields("batch", &batch,
         {.help = "Images made at once: more need more memory. With fixed-step solvers it changes speed, not the noise "
                  "an image starts "
                  "from.",
          .unit = "images",
          .min = 1,
          .resume = config::Resume::kFree,
          .only_speed = true});
  fields("seed", &seed,
         {.help = "Image i is a function of (seed, i): the same seed gives the same images, another one gives others.",
          .min = 0,
          .resume = config::Resume::kFree});
  visit_walk(fields);
  visit_guidance(fields);
}

}  // namespace sdg::sample
