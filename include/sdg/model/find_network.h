#pragma once
#include <set>
#include <string>
#include <vector>

#include "sdg/model/recognise.h"

/// Where in a list of named tensors a network lies: whole training modules put things before its names ("model.",
/// "net.", "ema_model.", "model.diffusion_model."), and hold other networks beside it.
namespace sdg::model {

struct FoundNetwork {
  Tensors tensors;                   ///< under the network's own names
  std::string prefix;                ///< what stood before them, "" where nothing did
  std::vector<std::string> others;   ///< prefixes of other places with such a network
  std::vector<std::string> outside;  ///< full names of tensors at none of these places
  std::vector<std::string> notes;    ///< what was chosen, one sentence each
};

/// The place where the most of the names `wanted` stand. Of several with at least half as many an average is taken
/// (tensors::names_average), of several averages the one with the greatest number in its name, else the one with the
/// most tensors, else the shortest prefix. An average whose names lack their dots, as LDM keeps it beside the network
/// (model_ema.diffusion_modelinput_blocks00weight), is put together by the network's names. Where nothing is found:
/// all tensors as they are.
FoundNetwork find_network(const Tensors& tensors, const std::set<std::string>& wanted);

/// The same for any network that recognise() knows.
FoundNetwork find_network(const Tensors& tensors);

/// One line on tensors of no known network: which family is nearest, the first of its names that are missing and the
/// first of the file's that it does not have; an autoencoder is named as such.
std::string nearest_network(const Tensors& tensors);

/// Is this tensor a condition's own: a table of labels, or a token that stands for one or for its absence? Networks
/// that are trained under another condition do not have it.
bool is_condition_name(const std::string& name);

}  // namespace sdg::model
