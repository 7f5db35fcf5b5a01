// Options of guidance, of what bounds predictions, and of which clusters are drawn.
#include "sdg/sample/options.h"

namespace sdg::sample {

void SampleOptions::visit_guidance(config::Fields& fields) {
  fields("guidance_channels", &guidance_channels,
         {.help = "Guidance acts on this many channels, the first ones; the others stay conditional. 0 is all of them. "
                  "The public samplers of DiT, SiT and REPA guide 3 of their 4.",
          .unit = "channels",
          .min = 0,
          .resume = config::Resume::kFree,
          .later = true});
  fields("guidance_convention", &guidance_convention,
         {.help = "In whose terms guidance is given. w: as said there; imagen, the same; paper (sgfm, U-ViT): s with "
                  "w = 1 + s; dit (DiT, SiT): w on the first 3 channels.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("guidance_schedule", &guidance_schedule,
         {.help = "How w - 1 goes with t: constant; rising, 2 t times it; falling, 2 (1 - t) times; middle, 2 sin^2(pi "
                  "t) times.",
          .resume = config::Resume::kFree,
          .later = true});
  fields(
      "guide", &guide,
      {.help =
           "What guidance leads away from: null, the null condition; other, another cluster, drawn for each "
           "image (arXiv 2407.02687), which needs no training with dropped conditions; network, a weaker "
           "network under the same condition (arXiv 2406.02507), which the command names (--guide-checkpoint); input, "
           "nothing: the network is told the strength (guided.learn gft), and a step costs one evaluation.",
       .resume = config::Resume::kFree,
       .later = true});
  fields(
      "inner_guidance", &inner_guidance,
      {.help =
           "w of v_m + w (v - v_m) with v_m what the inner head predicts (guided.inner): above 1 leads away from what "
           "half a network says, in the same evaluation. 1 is off. With guidance it acts on both answers first.",
       .min = 0,
       .max = 1000,
       .resume = config::Resume::kFree,
       .later = true});
  fields("inner_guidance_begin", &inner_guidance_begin,
         {.help = "Inner guidance acts only from this time on.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("inner_guidance_end", &inner_guidance_end,
         {.help = "Inner guidance acts only up to this time.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("guidance_rescale", &guidance_rescale,
         {.help = "Share by which the guided prediction of the clean image is brought back to the standard deviation "
                  "of the conditional one, image by image (arXiv 2305.08891); they take 0.7.",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("guidance_every", &guidance_every,
         {.help = "Evaluate what guidance leads away from only at every n-th evaluation where it acts; "
                  "guidance_between says what happens at the others, which cost half.",
          .unit = "evaluations",
          .min = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("guidance_between", &guidance_between,
         {.help = "Between those evaluations: cached guides in the last known direction, none does not guide.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("clip", &clip,
         {.help = "What bounds predictions of the clean image: none; clamp, to the pixels' range [-1, 1]; dynamic, "
                  "to a percentile of each image and scaled back to that range (Imagen), which calms strong guidance. "
                  "For pixels.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("clip_percentile", &clip_percentile,
         {.help = "Clip dynamic: the share of an image's pixels that stays within bounds; the bound is at least 1.",
          .min = 0.5,
          .max = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields(
      "prior", &prior,
      {.help =
           "How clusters are drawn where none is named: empirical, as frequent as in training; uniform; learned, for "
           "runs whose images are told vectors: not those of training images but such as the network of sdg "
           "fit-prior draws.",
       .resume = config::Resume::kFree,
       .later = true});
  fields("prior_temperature", &prior_temperature,
         {.help = "Frequencies are raised to the power 1 / temperature: above 1 rare clusters come more often.",
          .min = 0.01,
          .max = 1000,
          .resume = config::Resume::kFree,
          .later = true});
}

}  // namespace sdg::sample
