#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/sample_options.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/generate/generate.h"

/// What `sample` and `eval-fid` share: which checkpoint, and how to draw from it.
namespace sdg::cli {

struct SamplingArguments {
  std::string run, checkpoint, device = "auto", config_class, autoencoder, map, map_from, cluster, cluster_from, guide;
  checkpoint::Weights weights = checkpoint::Weights::kEma, guide_weights = checkpoint::Weights::kEma;
  SampleValues sample;
  bool tuned = false;  ///< draw as sdg tune found it (study/tuned.h), where the run has that
};

/// Flags that say how to draw, apart from --weights and --autoencoder.
std::vector<std::string> drawing_flags();
/// Declares --run, --checkpoint, the options of drawing (sample_options.h), --cluster, --cluster-from, --class, --map,
/// --map-from, --guide-checkpoint, --guide-weights, --weights, --autoencoder, --device. `count` is the run's option
/// that --count stands for.
void declare_sampling(CLI::App& app, SamplingArguments& arguments, const std::string& count);
/// The same for commands that walk given images: without how many are drawn, how often under which condition, in which
/// batches and precision.
void declare_walking(CLI::App& app, SamplingArguments& arguments);

/// The command draws as tuned; --untuned does not.
void declare_tuned(CLI::App& app, SamplingArguments& arguments);

/// Declares run, --run and --checkpoint, of which one can be given.
void declare_source(CLI::App& app, std::string& run, std::string& checkpoint, const std::string& what);
/// Declares --weights, --device.
void declare_weights(CLI::App& app, checkpoint::Weights& weights);
void declare_device(CLI::App& app, std::string& device);

/// Gives the network the prior that sdg fit-prior made for it: what --prior learned draws by.
void add_vectors(checkpoint::Trained& trained, const at::Device& device);

/// Loads the checkpoint that the arguments mean and says on standard error which, and whether it draws as tuned: then
/// it may be the average that was found.
checkpoint::Trained load(const SamplingArguments& arguments, const at::Device& device);

/// What a command looks at besides the run's own data: `data` (a path, of any format), or that data where it is empty.
/// Throws UsageError for a converted checkpoint, which knows none.
data::DataOptions data_options(const std::string& data, const checkpoint::Trained& trained);

/// The arguments over what was tuned for the run over the checkpoint's own sampling options. `default_count` where
/// neither says. Where the network draws latents, this loads what decodes them. Throws UsageError for arguments that
/// this network or the other arguments leave without effect: nothing that was asked for is ignored. `decoder_id` as of
/// to_images_of.
generate::Request request_of(const SamplingArguments& arguments, const checkpoint::Trained& trained,
                             int64_t default_count, const at::Device& device, std::string* decoder_id = nullptr);

}  // namespace sdg::cli
