#include "sdg/model/options.h"

namespace sdg::model {

void ModelOptions::visit(config::Fields& fields) {
  fields("name", &name,
         {.help = "Preset of the network: uvit-{tiny,mini,S,M,L,H}/{2,4}, dit- or sit-{tiny,S,B,L,XL}/{2,4,8}, where "
                  "the number is the patch size; U-Nets adm-{tiny,mini,64,128,256,512,lsun}, sg-{unet,unet-fast,"
                  "unet-fast-s64,unetca,unetca-fast,unetca-fast-s64}. Bigger networks and smaller patches cost more "
                  "and fit better."});
  fields(
      "dim", &dim,
      {.help = "Width of the tokens (U-Nets: of the first level, a multiple of 32); 0 takes the preset's.", .min = 0});
  fields("depth", &depth,
         {.help = "Number of blocks (U-ViT: depth/2 on each side of a middle one; U-Nets: residual blocks a level); 0 "
                  "takes the preset's.",
          .unit = "blocks",
          .min = 0});
  fields("heads", &heads, {.help = "Attention heads, a divisor of the width; 0 takes the preset's.", .min = 0});
  fields("patch", &patch,
         {.help = "Side of a patch, a divisor of the image's side; 0 takes the preset's. Half the patch is four times "
                  "the tokens. U-Nets have none.",
          .unit = "pixels",
          .min = 0});
  fields("mlp_ratio", &mlp_ratio,
         {.help = "Hidden width of the MLPs as a multiple of the tokens' width; 0 is the usual 4.", .min = 0});
  fields(
      "learn_sigma", &learn_sigma,
      {.help =
           "dit, sit and adm: predict as many channels again, as the public checkpoints do (DiT, ADM: variances; SiT "
           "never uses them). Training here leaves them as they are, and sampling along the velocity leaves them "
           "out."});
  fields("null_label", &null_label,
         {.help = "Conditions by index: the table has a row for \"no label\", which guidance needs."});
  fields(
      "layout", &layout,
      {.help = "uvit: tokens before the patches. sgfm: cls, time, condition; sgfm_patch: cls, time, conditions added "
               "to the patches; baofff: label, time. auto is sgfm."});
  fields("mlp_time_embed", &mlp_time_embed, {.help = "uvit: an MLP after the sinusoid of the time."});
  fields("qkv_bias", &qkv_bias, {.help = "uvit: a bias in the attention's first map."});
  fields("qk_norm", &qk_norm,
         {.help = "uvit, dit, sit: queries and keys are normalised, head by head, which keeps long training in bf16 "
                  "from running away.",
          .later = true});
  fields("rms_norm", &rms_norm,
         {.help = "uvit, dit, sit: norms divide by the root mean square and have a scale alone.", .later = true});
  fields("swiglu", &swiglu,
         {.help = "uvit, dit, sit: the MLP is SwiGLU, of two thirds of the hidden width, which is as many weights.",
          .later = true});
  fields("rotary", &rotary,
         {.help = "uvit, dit, sit: queries and keys are turned by the row and column of their patch (rotary "
                  "positions), besides the position table; the width of a head must be a multiple of 4. These four "
                  "are LightningDiT's recipe (arXiv 2501.01423).",
          .later = true});
  fields("time_scale", &time_scale,
         {.help = "The sinusoid of the time sees time_scale * t, t in [0, 1]; 0 takes the preset's (dit and U-Nets "
                  "1000, else 1). On "
                  "a model.path of betas t is the step number, and the preset's scale 1.",
          .min = 0});
  fields("init", &init,
         {.help = "What weights begin as. public: as in the public code of the network. fan_in: layers by their number "
                  "of inputs, U-ViT's last convolution as the identity, which learns much faster on small networks. "
                  "auto: fan_in for this program's own presets (tiny, mini), public for the published ones. Networks "
                  "other than U-ViT begin alike in both."});
  fields("weights", &weights,
         {.help = "File of weights that training starts from: a checkpoint of ours, or a public one (safetensors, .pt, "
                  ".pth, a folder) under its public names; sdg inspect shows what would be taken. Empty starts at "
                  "random.",
          .instead = "they are read when a run begins: choose another --run to start from other weights"});
  fields("weights_match", &weights_match,
         {.help = "What of model.weights must fit. strict: every tensor of the network is in the file in its shape, "
                  "and the other way round; only label tables, condition tokens and the clustering head may be on one "
                  "side alone, and a fixed position table of another size is made anew. matching: what has the same "
                  "name and shape is taken, the rest starts as usual. The run says which tensors those are.",
          .instead = "they are read when a run begins: choose another --run to start from other weights"});
  fields("activation_checkpointing", &activation_checkpointing,
         {.help = "Keep only the inputs of blocks for the backward pass and compute the rest again: the same gradients "
                  "in much less memory, for "
                  "about a third more time.",
          .resume = config::Resume::kFree});
  fields("dropout", &dropout,
         {.help = "U-Nets only: share of each residual block's hidden values left out in training; -1 takes the "
                  "preset's. Helps where small data is learned by heart.",
          .min = -1,
          .max = 0.99,
          .resume = config::Resume::kSaid});
  fields("prediction", &prediction,
         {.help = "What the network predicts. Public DiT, ADM and U-ViT checkpoints predict noise; all samplers work "
                  "with all of them."});
  fields("path", &path,
         {.help = "How the network's inputs mix data and noise, and which time it is told: straight is this program's "
                  "own path with t from 0 to 1; linear (DiT, ADM), cosine, sqrt_linear (Self-Guided Diffusion) and "
                  "stable_diffusion (U-ViT on latents) are 1000 steps of discrete betas; gvp and vp are SiT's two "
                  "other paths, "
                  "t from 0 to 1."});
}

}  // namespace sdg::model
