// What names of parts and tensors say.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <set>
#include <string_view>

#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "tensors/weights_impl.h"

namespace sdg::tensors {
namespace {

constexpr std::array kUsualNames = {"model", "state_dict", "model_state_dict", "net",    "network", "module",
                                    "unet",  "denoiser",   "generator",        "params", "weights"};
// Modules that hold the wrapped one under such a name.
constexpr std::array<std::string_view, 4> kWrappers = {"_orig_mod", "_fsdp_wrapped_module",
                                                       "_checkpoint_wrapped_module", "_forward_module"};
// Scalars that AveragedModel and ema-pytorch keep beside the network.
constexpr std::array<std::string_view, 5> kCounters = {"n_averaged", "num_updates", "initted", "step", "decay"};

// Words of letters, small: "model_ema_0.99" has model, ema.
std::vector<std::string> words(const std::string& name) {
  std::vector<std::string> out(1);
  for (const char c : name) {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      out.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.back().empty()) {
      out.emplace_back();
    }
  }
  return out;
}

bool has_word(const std::string& name, const std::set<std::string>& wanted) {
  const auto all = words(name);
  return std::any_of(all.begin(), all.end(), [&](const std::string& word) { return wanted.contains(word); });
}

bool is_wrapper(std::string_view part) {
  return std::find(kWrappers.begin(), kWrappers.end(), part) != kWrappers.end();
}

std::string without_wrappers(const std::string& name) {
  std::string out;
  for (size_t from = 0; from <= name.size();) {
    const auto dot = std::min(name.find('.', from), name.size());
    const auto part = name.substr(from, dot - from);
    if (!is_wrapper(part)) out += (out.empty() ? "" : ".") + part;
    from = dot + 1;
  }
  return out;
}

bool is_counter(const std::string& name, const Tensor& tensor) {
  return tensor.numel() <= 1 && std::find(kCounters.begin(), kCounters.end(), name) != kCounters.end();
}

// Takes `prefix` off every name, counters aside; false where some name lacks it.
bool strip_prefix(std::map<std::string, Tensor>& tensors, const std::string& prefix, std::vector<std::string>& left) {
  size_t with = 0, counters = 0;
  for (const auto& [name, tensor] : tensors) {
    with += name.starts_with(prefix) && name.size() > prefix.size() ? 1 : 0;
    counters += is_counter(name, tensor) ? 1 : 0;
  }
  if (with == 0 || with + counters != tensors.size()) return false;
  std::map<std::string, Tensor> shorter;
  for (auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) {
      shorter.emplace(name.substr(prefix.size()), tensor);
    } else {
      left.push_back(name);
    }
  }
  tensors = std::move(shorter);
  return true;
}

// torch.compile of single blocks puts its name in the middle; names that would fall together keep theirs.
std::string strip_inside(std::map<std::string, Tensor>& tensors) {
  std::map<std::string, Tensor> shorter;
  std::string stripped;
  for (const auto& [name, tensor] : tensors) {
    const auto own = without_wrappers(name);
    if (own.empty() || !shorter.emplace(own, tensor).second) return "";
    if (own == name) continue;
    for (const auto wrapper : kWrappers) {
      const auto part = std::string(wrapper) + ".";
      if (name.find(part) != std::string::npos && stripped.find(part) == std::string::npos) stripped += part;
    }
  }
  tensors = std::move(shorter);
  return stripped;
}

}  // namespace

bool names_average(const std::string& name) {
  return has_word(name,
                  {"ema", "emas", "averaged", "average", "shadow", "swa", "modelema", "emamodel", "netema", "emanet"});
}

bool names_bookkeeping(const std::string& name) {
  return has_word(name, {"opt", "optim", "optims", "optimizer", "optimizers", "optimiser", "scheduler", "schedulers",
                         "sched", "scaler", "rng", "callbacks", "loops", "random", "collected"});
}

size_t usual_rank(const std::string& name) {
  return static_cast<size_t>(std::find(kUsualNames.begin(), kUsualNames.end(), name) - kUsualNames.begin());
}

double number_in_name(const std::string& name) {
  double greatest = -1;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!std::isdigit(static_cast<unsigned char>(name[i]))) continue;
    double value = 0;
    const auto [end, failed] = std::from_chars(name.data() + i, name.data() + name.size(), value);  // also 1e-3
    const bool version = i > 0 && (name[i - 1] == 'v' || name[i - 1] == 'V');
    if (failed == std::errc() && !version) greatest = std::max(greatest, value);
    i = std::max(i, static_cast<size_t>(end - name.data()) - (end > name.data() + i ? 1 : 0));
  }
  return greatest;
}

std::string strip_wrappers(std::map<std::string, Tensor>& tensors, std::vector<std::string>& notes) {
  std::string stripped;
  std::vector<std::string> left;
  for (bool again = true; again && !tensors.empty();) {
    again = false;
    std::vector<std::string> beginnings{"module."};
    for (const auto wrapper : kWrappers) beginnings.push_back(std::string(wrapper) + ".");
    for (const auto& prefix : beginnings) {
      if (!strip_prefix(tensors, prefix, left)) continue;
      stripped += prefix;
      again = true;
      break;
    }
  }
  stripped += strip_inside(tensors);
  if (!left.empty()) notes.push_back(cat("counters beside the network were left out: ", join_first(left)));
  return stripped;
}

std::string also_holds(const Weights& weights) {
  std::vector<std::string> parts;
  for (const auto& part : weights.others) parts.push_back(cat(part.entry, " (", part.tensors, " tensors)"));
  return parts.empty() ? "" : cat("this file also holds ", join_first(parts));
}

}  // namespace sdg::tensors
