#include "sdg/model/options.h"

namespace sdg::model {

void ModelOptions::visit(config::Fields& fields) {
  fields("name", &name,
         {.help = "Preset of the network: uvit-{tiny,mini,S,M,L,H}/{2,4}, dit- or sit-{tiny,S,B,L,XL}/{2,4,8}; the "
                  "number is the patch size. "
                  "Bigger networks and smaller patches cost more and fit better."});
  fields("dim", &dim, {.help = "Width of the tokens; 0 takes the preset's.", .min = 0});
  fields("depth", &depth,
         {.help = "Number of blocks (U-ViT: depth/2 on each side of a middle one); 0 takes the preset's.",
          .unit = "blocks",
          .min = 0});
  fields("heads", &heads, {.help = "Attention heads, a divisor of the width; 0 takes the preset's.", .min = 0});
  fields("patch", &patch,
         {.help = "Side of a patch, a divisor of the image's side; 0 takes the preset's. Half the patch is four times "
                  "the tokens.",
          .unit = "pixels",
          .min = 0});
  fields("activation_checkpointing", &activation_checkpointing,
         {.help = "Keep only the inputs of blocks for the backward pass and compute the rest again: the same gradients "
                  "in much less memory, for "
                  "about a third more time."});
}

}  // namespace sdg::model
