#include "sdg/data/options.h"

namespace sdg::data {

void DataOptions::visit(config::Fields& fields) {
  fields(
      "path", &path,
      {.help =
           "Where the images are: a folder (class = sub-folder; without sub-folders there are no classes), a .tar "
           "of one, or a "
           ".safetensors file with uint8 `images` [N, H, W] or [N, C, H, W] and, if there are classes, integer "
           "`labels` [N], or one of latents as `sdg encode` writes it. Several of one kind are one data set: "
           "\"a.safetensors,b.safetensors\", or a folder of nothing but .safetensors or .tar files, sorted by name. "
           "A relative path is tried beside the config, in the working folder, then among the shipped configs; ~ and "
           "$NAME are replaced where there is no file of that very name. docs/data.md says what is taken of a folder "
           "or tar.",
       .resume = config::Resume::kFree});
  fields(
      "format", &format,
      {.help = "What the path holds. auto tells a folder, .tar and .safetensors apart; set it where the name misleads.",
       .resume = config::Resume::kFree});
  fields("autoencoder", &autoencoder,
         {.help = "Latents only: the autoencoder that turns them into pictures, FILE, ENCODER,DECODER or a diffusers "
                  "folder. Empty: the one that made them, where the latents file says it was.",
          .resume = config::Resume::kFree});
  fields(
      "size", &size,
      {.help =
           "Side of the square images the model sees. Images of any other size are shrunk or enlarged so that "
           "the short side fits, "
           "then cut at the centre (ADM's crop). Latents are taken as they are: their own side. A model with patches "
           "needs a multiple of the patch size.",
       .unit = "pixels",
       .min = 1,
       .max = 1024});
  fields("channels", &channels,
         {.help = "1 (grey), 3 (RGB), or the channels of latents (4 of Stable Diffusion, 32 of TAEF2). Colour becomes "
                  "grey by ITU-R 601 luma, grey becomes colour by repetition.",
          .min = 1,
          .max = 1024});
  fields("flip", &flip,
         {.help = "Mirror each image left to right with probability 0.5, drawn anew each time. For photographs; not "
                  "for digits or text. Latents must have been encoded with --flip.",
          .resume = config::Resume::kSaid});
  fields("threads", &threads,
         {.help = "Threads that read and decode the next batches while this one trains. 0 loads in the training "
                  "thread. The images do not "
                  "depend on it; raise it when the log shows training waiting for data.",
          .unit = "threads",
          .min = 0,
          .max = 256,
          .resume = config::Resume::kFree});
  fields("cache_mb", &cache_mb,
         {.help = "Memory for decoded images at the model's resolution, so that later epochs need not decode. A data "
                  "set that does not fit "
                  "is cached in part. 0 decodes every time.",
          .unit = "MiB",
          .min = 0,
          .max = 1 << 20,
          .resume = config::Resume::kFree});
  fields(
      "max_broken", &max_broken,
      {.help =
           "Images that cannot be read are named, counted and replaced by the next good one, with its label; the run "
           "stops when more than this share of the data set is broken. 0 stops at the first.",
       .unit = "fraction",
       .min = 0,
       .max = 1,
       .resume = config::Resume::kSaid});
}

}  // namespace sdg::data
