#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

/// Named tensors from whatever file they are in.
namespace sdg::tensors {

/// A group of tensors of a file, as `entry` takes it.
struct WeightsPart {
  std::string entry;
  int64_t tensors = 0;
};

struct Weights {
  std::map<std::string, Tensor> tensors;        ///< views into the mapped file; may be strided
  std::map<std::string, std::string> metadata;  ///< safetensors' own; plain values of a torch file ("args.model")
  std::filesystem::path file;                   ///< what was read: the argument, or what was chosen of a folder
  std::string format;  ///< "safetensors", "safetensors shards", "torch zip", "torch legacy", "pickle", "npz", …
  std::string entry;   ///< the part that was taken; empty where the file is one state dict
  std::vector<std::string> entries;  ///< the parts at the top of the file, of files that have several
  std::vector<WeightsPart> others;   ///< networks beside the one that was taken (at least half as many tensors)
  std::string stripped;              ///< what wrappers had put into every name, or inside names ("module.")
  std::vector<std::string> notes;    ///< what was chosen or left out, and why; one sentence each
  std::map<std::string, std::string> unread;  ///< tensors that are there and cannot be read, and why; also a warning
};

/// Recognises by content, never by name: safetensors, an index of shards (model.safetensors.index.json,
/// pytorch_model.bin.index.json), torch files of both kinds, bare pickles, npz; and folders, see
/// choose_weights_file.
///
/// `entry` names a part: a nested dictionary ("ema", "model", "opt"; "a.b" goes deeper, and names may hold dots
/// themselves: "ema_0.9999"), or the tensors whose names begin with it and a dot. Empty: the first of
///   1. an average: `ema`, else any part whose name holds the word ema, averaged, shadow or swa; of several the one
///   with
///      the greatest number in its name (the longest memory);
///   2. model, state_dict, model_state_dict, net, network, module, unet, denoiser, generator, params, weights;
///   3. the only part that has tensors;
///   4. everything.
/// A part counts where it has at least half as many tensors as the largest: a random state or a step counter beside the
/// networks hides nothing. Dictionaries of optimizers and schedulers are taken by name only. A list of tensors
/// (torch_ema and diffusers' `shadow_params`) gets the names of the network beside it where order and shapes leave one
/// reading; it is passed over, with a note, where they do not.
///
/// What wrappers put into names is taken out: _orig_mod. (torch.compile, also inside names), module. (DDP,
/// AveragedModel with its n_averaged) and those of FSDP and activation checkpointing. Throws Error, one line that
/// begins with the path; a missing entry names those there are.
Weights read_weights(const std::filesystem::path& path, const std::string& entry = "");

/// The file that a folder means. In this order: safetensors (one file, or the index of its shards), torch files (.bin,
/// or their index); full precision before fp16 and other variants; diffusion_pytorch_model before model and
/// pytorch_model; sgfm's nnet_ema.pth. Else the only file of weights there is. `passed_over`: names of the others.
/// Throws Error that lists what is there.
std::filesystem::path choose_weights_file(const std::filesystem::path& folder, std::vector<std::string>& passed_over);

/// Does the name say that what it names is an average over training steps ("ema_0.9999", "model_ema", "shadow_params")?
bool names_average(const std::string& name);

/// The greatest number in a name ("ema_0.9999" has 0.9999), -1 without one.
double number_in_name(const std::string& name);

/// "this file also holds model (32 tensors), ema_0.99 (32 tensors)", or "".
std::string also_holds(const Weights& weights);

}  // namespace sdg::tensors
