#include "sdg/recipe/guided_options.h"

namespace sdg::recipe {

void GuidedOptions::visit(config::Fields& fields) {
  fields("inner", &inner,
         {.help = "Block, from 0, after which a head of its own predicts what the whole network predicts (Internal "
                  "Guidance, arXiv 2512.24176): sample.inner_guidance then leads away from it, in the same evaluation, "
                  "with or without conditions. -1 is none. They take the 8th of 28 blocks. A U-Net's blocks are "
                  "numbered as they are computed, the middle one among them.",
          .min = -1,
          .instead = "the inner head is part of the network: choose another --run, with model.weights from this one to "
                     "keep what was learned",
          .later = true});
  fields(
      "inner_weight", &inner_weight,
      {.help = "Weight of the inner head's flow loss beside the network's own; its gradient reaches the blocks before "
               "it. 0 trains it no further.",
       .min = 0,
       .resume = config::Resume::kSaid,
       .later = true});
  fields(
      "learn", &learn,
      {.help =
           "What puts guidance into the network, so that a guided step costs one evaluation. gft (arXiv 2501.15420): "
           "the strength is an input, drawn for each image, and sample.guide input draws at any of them; a "
           "training step costs one more forward pass. mg (arXiv 2502.12154): the target is guided by the averaged "
           "network, so that guidance 1 draws at guided.scale; two more. Both begin with the conditions and "
           "need them dropped at times (condition.drop).",
       .instead =
           "the network would mean something else: choose another --run, with model.weights from this one to keep "
           "what was learned",
       .later = true});
  fields("weakest", &weakest,
         {.help = "guided.learn gft: 1 / w is drawn evenly from here to 1, so that 0.3 learns guidance 1 to 3.3.",
          .min = 0.01,
          .max = 1,
          .resume = config::Resume::kSaid,
          .later = true});
  fields(
      "scale", &scale,
      {.help = "guided.learn mg: w that guidance 1 then draws at, in the terms of sample.guidance; the paper's weight "
               "of the correction is 1 - 1 / w.",
       .min = 1,
       .max = 100,
       .resume = config::Resume::kSaid,
       .later = true});
  fields("start", &start,
         {.help = "Share of the steps before which guided.learn changes nothing, also where conditions begin earlier.",
          .unit = "fraction",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid,
          .later = true});
}

}  // namespace sdg::recipe
