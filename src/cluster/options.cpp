#include "sdg/cluster/options.h"

namespace sdg::cluster {
namespace {
void visit_assignment(ClusterOptions& options, config::Fields& fields) {
  fields("clusters", &options.clusters,
         {.help = "K, how many groups the images are divided into. More make finer groups that each see fewer images; "
                  "keep K well below "
                  "the number of images and, for steady training, below the batch.",
          .unit = "clusters",
          .min = 1});
  fields("epsilon", &options.epsilon,
         {.help = "Entropy of the balanced assignment. Smaller makes it harder (each image one cluster), larger makes "
                  "it softer; far "
                  "above the spread of the scores all images look alike.",
          .min = 1e-4,
          .max = 10,
          .resume = config::Resume::kSaid});
  fields("iterations", &options.iterations,
         {.help = "Sinkhorn sweeps. More bring the clusters closer to equal shares at a small cost.",
          .unit = "sweeps",
          .min = 1,
          .resume = config::Resume::kSaid});
  fields("assign", &options.assign,
         {.help = "sinkhorn: assignments are balanced, so that all clusters are used alike. softmax: each image's own "
                  "scores / epsilon, without any balance; clusters then tend to collapse. For comparison.",
          .resume = config::Resume::kSaid});
  fields("queue", &options.queue,
         {.help = "Rows of earlier steps that are balanced together with the batch, which steadies the assignment "
                  "where the batch is small beside K. -1 keeps as many as bring the rows to 2 K; 0 none, as in the "
                  "public code.",
          .unit = "rows",
          .min = -1,
          .resume = config::Resume::kSaid});
  fields("balance", &options.balance,
         {.help = "One view: window balances only rows whose time lies in the window, which alone are learned from; "
                  "batch balances all rows, noise included, as in the public code. With two views all are in it.",
          .resume = config::Resume::kSaid});
  fields("temperature", &options.temperature,
         {.help = "Softmax temperature of the head's prediction. Smaller asks for more confident scores; too small "
                  "makes the loss "
                  "noisy, too large leaves it near ln K.",
          .min = 1e-3,
          .max = 10,
          .resume = config::Resume::kSaid});
}

void visit_loss(ClusterOptions& options, config::Fields& fields) {
  fields("weight", &options.weight,
         {.help = "Weight of the clustering loss beside the flow loss. 0 leaves the clusters random.",
          .min = 0,
          .resume = config::Resume::kSaid});
  fields("backbone", &options.backbone,
         {.help = "Share of the clustering loss's gradient that goes on into the network: 0 stops it at the features, "
                  "as in the public code; 1 lets all of it shape them. With two views it costs a pass of the trained "
                  "network up to the tap.",
          .min = 0,
          .resume = config::Resume::kSaid});
  fields("ramp", &options.ramp,
         {.help = "Let that weight rise linearly from 0 until conditions begin, as in the paper's code. With AdamW "
                  "the head's own steps hardly change.",
          .resume = config::Resume::kSaid});
  fields("window_begin", &options.window_begin,
         {.help = "The clustering loss counts only for window_begin < t < window_end (t = 1 is the clean image). Lower "
                  "values include "
                  "noisier images, whose clusters are coarser.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("window_end", &options.window_end,
         {.help = "End of that window. Values near 1 include nearly clean images. A wider window trains the head on "
                  "more samples a step.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields(
      "window_tokens", &options.window_tokens,
      {.help = "Patch level with one view: own applies the window of each image to its own tokens; tiled repeats the "
               "paper's code, which applies it to tokens of other images.",
       .resume = config::Resume::kSaid});
  fields("averaging", &options.averaging,
         {.help = "batch: sum over the window divided by the whole batch, as in the paper, so a narrow window also "
                  "weighs less. window: "
                  "mean over the window's samples, so the weight does not depend on the width.",
          .resume = config::Resume::kSaid});
}

void visit_features(ClusterOptions& options, config::Fields& fields) {
  fields("level", &options.level,
         {.help = "image: one cluster and one condition an image. patch: every patch token has its own (U-ViT only); "
                  "pooling is then not used."});
  fields("teacher_time", &options.teacher_time,
         {.help = "The time at which the averaged network looks at an image to choose its cluster. Lower is noisier: "
                  "coarser clusters, "
                  "less detail in them.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("views", &options.views,
         {.help = "two: the assignment comes from one noise and the head predicts it from another, so clusters cannot "
                  "encode noise. one: "
                  "both use the same noisy image, as in the public code, and save a forward pass.",
          .resume = config::Resume::kSaid});
  fields("pooling", &options.pooling,
         {.help = "What of the network becomes the feature. flat: all patch tokens side by side (keeps where things "
                  "are); mean: their "
                  "mean (smaller, forgets place); cls: the class token, where the network has one."});
  fields("depth", &options.depth,
         {.help = "The block after which features are read, counted from 0; -1 is the middle. Early blocks hold "
                  "texture, late ones the "
                  "velocity itself.",
          .min = -1});
  fields("early_exit", &options.early_exit,
         {.help = "Stop the teacher's pass after that block. false runs it to its end: the same clusters, bit for bit, "
                  "for more time; there to measure what stopping saves.",
          .resume = config::Resume::kFree});
  fields("refresh", &options.refresh,
         {.help = "Source online: share of each batch that the teacher and the head look at. The other images keep the "
                  "cluster of "
                  "their last look, and one that never had a look gets one once conditions are given. A share saves as "
                  "much of clustering's FLOP.",
          .unit = "fraction",
          .min = 0.01,
          .max = 1,
          .resume = config::Resume::kSaid,
          .later = true});
  fields("hidden", &options.hidden,
         {.help = "Width inside the projection head; 0 is half the feature's width. Larger heads fit finer clusters "
                  "and cost memory.",
          .min = 0});
  fields("standardize", &options.standardize,
         {.help = "Bring every feature to mean 0 and variance 1 before the head, so that no few of them decide. The "
                  "public code does not."});
  fields("start", &options.start,
         {.help = "Source online: the head begins to learn after this share of the steps. The features of the very "
                  "first steps are "
                  "little better than the pixels, and clusters found early tend to stay.",
          .unit = "share of steps",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid});
  fields("end", &options.end,
         {.help = "Source online: after this share of the steps the clusters rest: each image keeps the one of its "
                  "last look (one that "
                  "had none gets a look when it comes), the head stays as it is, and a step costs what it costs with "
                  "labels. 1: never.",
          .unit = "share of steps",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kSaid,
          .later = true});
}
}  // namespace

void ClusterOptions::visit(config::Fields& fields) {
  visit_assignment(*this, fields);
  visit_loss(*this, fields);
  visit_features(*this, fields);
}
}  // namespace sdg::cluster
