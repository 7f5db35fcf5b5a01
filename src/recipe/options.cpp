#include "sdg/recipe/options.h"

namespace sdg::recipe {

void TrainOptions::visit(config::Fields& fields) {
  fields("steps", &steps,
         {.help = "Optimizer steps of the whole run.", .unit = "steps", .min = 1, .resume = config::Resume::kSaid});
  fields("batch", &batch,
         {.help = "Images a step, over all shards.", .unit = "images", .min = 2, .resume = config::Resume::kSaid});
  fields("lr", &lr, {.help = "Peak learning rate of AdamW.", .min = 0, .max = 1, .resume = config::Resume::kSaid});
  fields("schedule", &schedule,
         {.help = "How the rate falls after the warm-up: constant keeps it, cosine ends at a hundredth of it (resume "
                  "with the same steps); paper keeps it and starts from exactly 0, so the first step changes nothing.",
          .resume = config::Resume::kSaid});
  fields("warmup", &warmup,
         {.help = "Steps over which the rate rises linearly from 0.",
          .unit = "steps",
          .min = 0,
          .resume = config::Resume::kSaid});
  fields("beta1", &beta1,
         {.help = "AdamW's decay of the gradient average.", .min = 0, .max = 1, .resume = config::Resume::kSaid});
  fields("beta2", &beta2,
         {.help = "AdamW's decay of the squared gradient average; larger is steadier and slower.",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("eps", &eps, {.help = "AdamW's denominator offset.", .min = 0, .resume = config::Resume::kSaid});
  fields("weight_decay", &weight_decay,
         {.help = "Decoupled weight decay, of all parameters but those of no_decay.",
          .min = 0,
          .resume = config::Resume::kSaid});
  fields("no_decay", &no_decay,
         {.help = "What weight decay leaves alone: nothing, or the parameters of one dimension, which are scales and "
                  "shifts of norms and biases.",
          .resume = config::Resume::kSaid,
          .later = true});
  fields("head_lr", &head_lr,
         {.help = "Learning rate of the clustering head, in multiples of the network's.",
          .min = 0,
          .max = 1000,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("lr_width", &lr_width,
         {.help = "Width (model.dim) that train.lr is meant for: in a network of another one it counts times lr_width "
                  "over its width, as AdamW's rate of weights between layers goes in maximal update parametrisation "
                  "(arXiv 2203.03466). 0 takes train.lr as it is.",
          .min = 0,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("clip", &clip,
         {.help = "Largest gradient norm; longer gradients are scaled down to it. 0 switches clipping off.",
          .min = 0,
          .resume = config::Resume::kSaid});
  fields("ema", &ema,
         {.help = "Decay of the averaged weights (the teacher, and what sampling uses); ramps up as (1+n)/(10+n).",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields(
      "dispersive", &dispersive,
      {.help = "Weight of the dispersive loss (arXiv 2506.09027), which pushes the features of different images apart: "
               "those of the middle block, images of one shard (train.shard) with each other. 0 is off; the paper uses "
               "0.25 to 0.5.",
       .min = 0,
       .resume = config::Resume::kSaid,
       .later = true});
  fields(
      "loss_on", &loss_on,
      {.help = "In which space the error is squared, whatever the network predicts (model.prediction): predicted is "
               "that of the prediction itself (of a score that of the noise it stands for); velocity, noise and data "
               "weigh it as what the prediction says of these. model.prediction data with velocity here is that of "
               "arXiv 2511.13720, which allows larger patches. min_snr is the loss on the data times the ratio of the "
               "variances of data and noise, up to snr_cap (arXiv 2303.09556).",
       .resume = config::Resume::kSaid,
       .later = true});
  fields("loss_floor", &loss_floor,
         {.help = "Where loss_on divides by the share of the noise or of the data in x_t, it is taken to be at least "
                  "this: the last steps before the data would outweigh all others.",
          .min = 1e-4,
          .max = 1,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("snr_cap", &snr_cap,
         {.help = "loss_on min_snr: the largest weight.", .min = 1e-3, .resume = config::Resume::kSaid, .later = true});
  fields("time", &time,
         {.help = "Which places of the path are trained on how often: uniform all alike; logit_normal mostly the "
                  "middle, sigmoid(time_mean + time_width n) with n normal (Stable Diffusion 3, arXiv 2403.03206).",
          .resume = config::Resume::kSaid,
          .later = true});
  fields("time_mean", &time_mean,
         {.help = "time logit_normal: above 0 nearer to the data, below nearer to the noise.",
          .min = -10,
          .max = 10,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("time_width", &time_width,
         {.help = "time logit_normal: larger is flatter; 1 in Stable Diffusion 3.",
          .min = 0.01,
          .max = 10,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("time_shift", &time_shift,
         {.help = "The noise share 1 - t that was drawn becomes a (1 - t) / (1 + (a - 1) (1 - t)): a above 1 trains "
                  "more on noisy images, as larger ones need (their code: a = sqrt(numbers of an image / 4096)). 1 "
                  "changes nothing.",
          .min = 0.01,
          .max = 100,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("precision", &precision,
         {.help = "Of the network's matrix products, convolutions and attention; all else, the weights and their "
                  "gradient included, is float32. tf32 needs a GPU; bf16 a GPU or a CPU that computes it natively, and "
                  "pays for large networks only (docs/precision.md).",
          .resume = config::Resume::kSaid,
          .later = true});
  fields("teacher", &teacher,
         {.help = "average: the teacher follows from the first step. change: it keeps the initial weights until the "
                  "conditions begin, is then overwritten once and follows at the full decay, its BatchNorm statistics "
                  "staying as they were copied: the paper's code.",
          .resume = config::Resume::kSaid});
  fields(
      "shard", &shard,
      {.help =
           "Images that one CPU thread computes alone; gradients of the shards are summed in a fixed order, so results "
           "do not depend "
           "on the number of threads, but they do (in the last bits) on this. On a GPU the whole batch is one shard "
           "(but see micro_batch).",
       .unit = "images",
       .min = 1,
       .resume = config::Resume::kSaid});
  fields(
      "micro_batch", &micro_batch,
      {.help = "Images that a device computes at once; what needs the whole batch (clustering) still sees it. 0 is the "
               "whole batch on a GPU and train.shard on a CPU, of which the smaller counts. Smaller needs less "
               "memory for activations, and changes only rounding.",
       .unit = "images",
       .min = 0,
       .resume = config::Resume::kSaid,
       .later = true});
  fields("shard_state", &shard_state,
         {.help = "Over several ranks: each keeps and steps only its part of AdamW's moments and, where no step looks "
                  "through it (every source but online, without guided.learn mg and align.extractor self), of the "
                  "averaged weights; the new "
                  "weights are exchanged "
                  "instead of the gradient. Less memory a rank, the same numbers.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("deterministic", &deterministic,
         {.help = "On a GPU take only algorithms that give the same bits each time, which are slower, and stop where "
                  "LibTorch has none. A CPU always does (docs/gpu.md).",
          .resume = config::Resume::kFree,
          .later = true});
  fields("graph", &graph,
         {.help = "cuda records what a pass of images through the networks queues on a GPU, forward and backward, and "
                  "replays it from then on: the host queues one launch where it queued thousands. Where a pass cannot "
                  "be recorded, that is said, and it is made as without. It needs a GPU and a program built with "
                  "CUDA's headers, and was never run on one (docs/gpu.md).",
          .resume = config::Resume::kFree,
          .only_speed = true,
          .later = true});
  fields("log_every", &log_every,
         {.help = "Steps between lines of metrics.jsonl.", .unit = "steps", .min = 1, .resume = config::Resume::kFree});
  fields("picture_every", &picture_every,
         {.help = "Steps between sample grids, cluster sheets and cluster scores; 0 makes them only at the end.",
          .unit = "steps",
          .min = 0,
          .resume = config::Resume::kFree});
  fields("save_every", &save_every,
         {.help = "Steps between checkpoints; one is always written at the end and on Ctrl-C.",
          .unit = "steps",
          .min = 1,
          .resume = config::Resume::kFree});
  fields(
      "keep", &keep,
      {.help = "Numbered checkpoints kept beside `last` and `lowest_fd`; older ones are removed. `last` is another "
               "name of the "
               "newest, so two always stay, whatever smaller number is given: one damaged file must not be the whole "
               "run.",
       .min = 0,
       .resume = config::Resume::kFree});
}

void ConditionOptions::visit(config::Fields& fields) {
  fields(
      "source", &source,
      {.help = "What guides: none; label (the data set's classes); online (clusters of the network's own features, "
               "found in the same run); recluster (the same by k-means, again and again in the run); kmeans (clusters "
               "of a finished run's features); file (an index for each image, made elsewhere).",
       .instead = "the networks of other sources differ; start anew in another --run, with model.weights from this one "
                  "to keep what was learned"});
  fields(
      "file", &file,
      {.help = "Source file: pseudo-labels, one index an image in the data set's order: safetensors (ids), npy, or a "
               "text file with one index a line. A safetensors file may hold more than that: vectors [N, D] or "
               "patch_vectors [N, L, D] as wide as the network, and maps (uint8 [N, S, S] of classes, or float "
               "[N, M, S, S]) for networks of family sg, with one of the others or alone. A run that goes on takes "
               "the same from wherever it lies.",
       .resume = config::Resume::kSaid});
  fields("drop", &drop,
         {.help = "Share of images trained without their condition, for classifier-free guidance.",
          .unit = "fraction",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("change", &change,
         {.help = "Sources online and recluster: share of the steps that trains without conditions while clusters "
                  "form; then the condition begins. With condition.stable it is the latest such share.",
          .unit = "fraction",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("stable", &stable,
         {.help = "Source online: conditions begin as soon as this share of the images keeps its cluster from one time "
                  "it is seen to the next (metric `agreement`). 0 waits for condition.change alone. A condition that "
                  "flickers costs more than it tells.",
          .unit = "fraction",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("recluster", &recluster,
         {.help = "Source recluster: share of the steps between two k-means clusterings of the averaged network's "
                  "features; clusters keep the numbers of those they overlap most.",
          .unit = "fraction",
          .min = 0.001,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("drop_per", &drop_per,
         {.help = "Patch level: image drops the condition of all patches of an image together, which is what sampling "
                  "without it needs; patch drops each alone, as in the paper's code.",
          .resume = config::Resume::kSaid});
  fields("token", &token,
         {.help = "Source online: scaled brings a cluster's prototype to the length token_scale before it becomes a "
                  "token; raw takes it as it is, about length 1, as in the paper's code. centroid takes the mean "
                  "embedding of the cluster's images, as the teacher lately saw them, scaled: clusters that are alike "
                  "are then told alike, and many clusters are learned sooner (docs/clusters.md). embedding takes "
                  "each image's own, scaled, as the teacher sees it: drawing then follows embeddings of training "
                  "images, of one cluster where that is asked for, and checkpoints hold those of all images."});
  fields("token_scale", &token_scale,
         {.help = "Source online: length that a prototype, centroid or embedding has as a token. 0 is sqrt(D), the "
                  "length of the other "
                  "tokens.",
          .min = 0,
          .instead = "the network has learned to read prototypes of this length: choose another --run"});
  fields("run", &run,
         {.help = "Source kmeans: the finished run whose features are clustered.",
          .instead = "the pseudo-labels are made once, when the run begins: choose another --run"});
  fields("told", &told,
         {.help = "Source file: what of a file of clusters (sdg kmeans) is told: stored is whatever the file holds; "
                  "cluster the index of an image's cluster, centroid that cluster's centroid, feat the image's own "
                  "feature, knn_feat that of one of its neighbours, drawn anew each time. The last two need a file "
                  "made with --keep-features, and --neighbours; vectors need a network of family sg, or one as wide.",
          .instead = "the network has learned to read these conditions: choose another --run",
          .later = true});
  fields("null_token", &null_token,
         {.help = "Source online: the token of unconditional training goes on as the null token of guidance (shared), "
                  "or a second token, untrained "
                  "until the change, takes over (separate, as in the paper's code)."});
}

void AlignOptions::visit(config::Fields& fields) {
  fields(
      "extractor", &extractor,
      {.help = "Outside network with whose features of the image (without noise) those of the trained network are "
               "aligned; names as of eval.extractor, none is off. Of DINO and DINOv2 each patch has its own feature "
               "and is aligned with the token at its place, as in REPA (arXiv 2410.06940); others have one for the "
               "image, with which the mean of the tokens is aligned. Needs images: not for data of latents. self looks "
               "at no other network: tokens are aligned with those of a later block of the network's own average, "
               "which sees the same image and noise nearer to the data (SRA, arXiv 2505.02831); any data, "
               "transformers only.",
       .instead = "the network that projects onto its features comes and goes with it: choose another --run, with "
                  "model.weights from this one to keep what was learned; align.weight 0 stops aligning",
       .later = true});
  fields("weights", &weights,
         {.help = "File of its weights; empty looks in the extractor's default places.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("weight", &weight,
         {.help = "Weight of the alignment, minus the cosine between projected tokens and features, beside the flow "
                  "loss. The paper uses 0.5; 0 computes nothing.",
          .min = 0,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("depth", &depth,
         {.help = "Block whose tokens are aligned, from 0. -1 is that after two sevenths of the blocks, as in the "
                  "paper's largest network (the 8th of 28).",
          .min = -1,
          .instead = "the projection was learned from another block's tokens: choose another --run",
          .later = true});
  fields("hidden", &hidden,
         {.help = "Width of the three-layer network that projects tokens onto the features.",
          .min = 1,
          .instead = "the projection has this width: choose another --run",
          .later = true});
  fields(
      "target_depth", &target_depth,
      {.help = "align.extractor self: block of the average whose tokens are the target, from 0. -1 is that after five "
               "sevenths of the blocks (they take the 20th of 28).",
       .min = -1,
       .resume = config::Resume::kSaid,
       .later = true});
  fields(
      "shift", &shift,
      {.help = "align.extractor self: the average sees the image at a time up to this much nearer to the data, drawn "
               "evenly for each image.",
       .unit = "time",
       .min = 0,
       .max = 1,
       .resume = config::Resume::kSaid,
       .later = true});
}

void EvalOptions::visit(config::Fields& fields) {
  fields("extractor", &extractor,
         {.help = "Network whose features the Fréchet distance is taken in: inception, inception-tf1, cifar-resnet20, "
                  "cifar-resnet56, digits, mnist, dino-vits16, dino-vits8, dino-vitb16, dinov2-vits14, dinov2-vitb14, "
                  "dinov2-vitl14, "
                  "dinov2-vitl14-reg, clip-vitb32, clip-vitb16, clip-vitl14, or torchscript:SIZE,RESIZE,MEAN,DEVIATION "
                  "with its file as weights. Only "
                  "inception gives an FID; inception-tf1 shrinks images as torch-fidelity and the ADM evaluator do, "
                  "which gives other numbers.",
          .resume = config::Resume::kFree});
  fields("weights", &weights,
         {.help = "File of the extractor's weights; empty looks in the extractor's default places.",
          .resume = config::Resume::kFree});
  fields("every", &every,
         {.help = "Steps between measurements while training: images are drawn by the average as sample.* says and "
                  "their distance to the reference is logged; the checkpoint of the lowest one is kept as "
                  "checkpoints/lowest_fd.safetensors. 0 is off.",
          .unit = "steps",
          .min = 0,
          .resume = config::Resume::kFree,
          .later = true});
  fields("every_count", &every_count,
         {.help = "Images drawn for each of these; 0 is eval.count.",
          .unit = "images",
          .min = 0,
          .resume = config::Resume::kFree,
          .later = true});
  fields("count", &count,
         {.help = "Generated images that are measured.", .unit = "images", .min = 2, .resume = config::Resume::kFree});
  fields(
      "reference", &reference,
      {.help = "What to compare with: a data set's path (its images are taken at their own size), or stored statistics "
               "(.npz with mu and sigma). Empty compares with the run's training data.",
       .resume = config::Resume::kFree});
  fields("cluster_images", &cluster_images,
         {.help = "Images whose clusters are scored against labels, where the data set has labels.",
          .unit = "images",
          .min = 2,
          .resume = config::Resume::kFree});
}

}  // namespace sdg::recipe
