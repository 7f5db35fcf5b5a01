#include "cli/measured.h"

#include "cli/declared.h"
#include "sdg/evaluate/measure.h"

namespace sdg::cli {

void declare_measured(CLI::App& app, MeasuredArguments& arguments) {
  declare_sampling(app, arguments.sampling, "eval.count");
  declare_tuned(app, arguments.sampling);
  app.add_option(
         "--images", arguments.images,
         "measure these images (folder, tar, safetensors, .npz of arr_0 or of statistics), as they are, instead "
         "of drawing some")
      ->type_name("PATH");
  declare_reference(app, arguments.reference);
}

void check_measured(const MeasuredArguments& arguments, const CLI::App& app) {
  const bool from_images = !arguments.images.empty(), named = !arguments.reference.path.empty();
  if (from_images) {
    refuse(app, drawing_flags(), "says how to draw, and --images draws nothing");
    refuse(app, {"--weights", "--autoencoder"}, "says how to draw, and --images draws nothing");
  }
  if (!from_images && !named) refuse(app, {"--size"}, "the run's data are measured as the network sees them");
  if (!from_images && named && evaluate::holds_statistics(arguments.reference.path))
    refuse(app, {"--size"}, "statistics hold for the size they were made at");
  if (from_images && evaluate::holds_statistics(arguments.images) &&
      (!named || evaluate::holds_statistics(arguments.reference.path)))
    refuse(app, {"--size"}, "there are no images to bring to a size");
  // What is no folder, or holds no images, is said before the reference's go through the network.
  if (from_images && !evaluate::holds_statistics(arguments.images)) evaluate::path_feed(arguments.images, {});
}

std::optional<checkpoint::Trained> run_of(const MeasuredArguments& arguments, const CLI::App& app,
                                          const at::Device& device) {
  if (!arguments.images.empty() && !given(app, "--run") && !given(app, "--checkpoint")) return std::nullopt;
  return load(arguments.sampling, device);
}

}  // namespace sdg::cli
