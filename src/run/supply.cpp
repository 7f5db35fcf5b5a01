#include "run/supply.h"

#include "run/alike.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/recipe/resume_rules.h"
#include "sdg/recipe/source.h"

namespace sdg::run {

checkpoint::CheckpointInfo read_before(const recipe::RunConfig& config, const checkpoint::RunFolder& folder,
                                       const std::filesystem::path& checkpoint) {
  auto before = checkpoint::parse_info(tensors::read_tensor_header(checkpoint), checkpoint.string());
  const auto changes = recipe::resume_changes(before.config, config);
  SDG_CHECK_USAGE(changes.refused.empty(), folder.root().string(),
                  ": holds a run of another configuration: ", join(changes.refused), "; ", changes.instead);
  return before;
}

Supply open_supply(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const at::Device& device,
                   const std::function<void(const std::string&)>& on_event, const checkpoint::CheckpointInfo* before,
                   Reducer& reducer) {
  Supply supply;
  supply.opened = data::open_data(config.data, config.config_dir);
  supply.dataset = std::make_unique<data::Dataset>(supply.opened, config.data);
  if (const auto& latents = supply.opened.latents) {
    supply.pictures = config.train.picture_every > 0;
    if (supply.pictures || config.eval.every > 0)  // else nobody needs the autoencoder
      supply.to_images =
          latents::decode_with(latents::load_decoder(latents->card(), config.data.autoencoder, device), device);
  }
  const bool clusters = recipe::facts_of(config).own_clusters;
  SDG_CHECK_USAGE(!clusters || config.cluster.clusters <= supply.dataset->size(),
                  "cluster.clusters: ", config.cluster.clusters, " clusters of a data set of ", supply.dataset->size(),
                  " images");
  supply.fingerprint = data::fingerprint(supply.opened);
  const auto note = [&](const std::string& message) { supply.notes.push_back(message); };
  if (before) checkpoint::check_resumed_data(*before, supply.fingerprint, folder.root().string(), note);
  check_alike("data set", data::to_text(supply.fingerprint), reducer);
  const auto give = [&] {
    supply.given = conditions::given_conditions(
        {config, folder, supply.opened, *supply.dataset, supply.fingerprint, before, device, note, on_event});
  };
  // What rank 0 makes and keeps in the folder, the others find there.
  reducer.first_alone(give);
  if (reducer.rank() > 0) give();
  check_alike("set of conditions", supply.given.key, reducer);
  return supply;
}

}  // namespace sdg::run
