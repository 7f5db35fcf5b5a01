#include "sdg/recipe/average_options.h"

#include "sdg/average/profile.h"

namespace sdg::recipe {

void AverageOptions::visit(config::Fields& fields) {
  const auto* begins = "averages begin with the first step: start anew in another --run";
  fields("track", &track,
         {.help = "Keep two averages of power-function profile (arXiv 2312.02696) while training, and snapshots of "
                  "them, so that sdg average makes one of any width afterwards. Training itself stays the same, to "
                  "the bit; each costs as much memory as the weights.",
          .instead = begins,
          .later = true});
  fields("narrow", &narrow,
         {.help = "Width of one of them: the standard deviation of its profile over the steps done.",
          .unit = "fraction",
          .min = 0.005,
          .max = average::kWidest,
          .instead = begins,
          .later = true});
  fields("wide", &wide,
         {.help = "Width of the other one.",
          .unit = "fraction",
          .min = 0.005,
          .max = average::kWidest,
          .instead = begins,
          .later = true});
  fields("every", &every,
         {.help = "Steps between snapshots of both.",
          .unit = "steps",
          .min = 1,
          .resume = config::Resume::kFree,
          .later = true});
  fields("keep", &keep,
         {.help = "Most snapshots that stay on disk: where there would be more, every second one goes, and those to "
                  "come are twice as far apart. More of them make narrower widths.",
          .unit = "snapshots",
          .min = 4,
          .resume = config::Resume::kFree,
          .later = true});
  fields("stored", &stored,
         {.help = "The numbers of snapshots: float16 takes half the disk and rounds weights to 3 digits; checkpoints "
                  "hold the averages of their own step in float32 in any case.",
          .resume = config::Resume::kFree,
          .later = true});
}

int64_t AverageOptions::spacing(int64_t steps) const {
  int64_t out = every;
  while (steps / out > keep) out *= 2;
  return out;
}

}  // namespace sdg::recipe
