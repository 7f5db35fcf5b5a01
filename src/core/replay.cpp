#include "sdg/core/replay.h"

#include <exception>
#include <utility>

#include "sdg/core/error.h"
#include "sdg/core/log.h"

namespace sdg {

Replay::Replay(std::string what, Work work, MakeRecording make)
    : what_(std::move(what)), work_(std::move(work)), make_(std::move(make)) {}

std::vector<Tensor> Replay::operator()(const std::vector<Tensor>& inputs) {
  if (!replayed(inputs)) return work_(inputs);
  std::vector<Tensor> out;
  out.reserve(outputs_.size());
  for (const auto& output : outputs_) out.push_back(output.clone());
  return out;
}

std::vector<Tensor> Replay::lend(const std::vector<Tensor>& inputs) {
  return replayed(inputs) ? outputs_ : work_(inputs);
}

// False where the call is to be made as it stands.
bool Replay::replayed(const std::vector<Tensor>& inputs) {
  if (!make_) return false;
  if (!fits(inputs)) {
    recording_.reset();
    outputs_.clear();
    inputs_.clear();
    for (const auto& input : inputs) inputs_.push_back(at::empty_like(input));
    return false;
  }
  for (size_t i = 0; i < inputs.size(); ++i) inputs_[i].copy_(inputs[i]);
  if (!recording_ && !record()) return false;
  recording_->replay();
  return true;
}

bool Replay::fits(const std::vector<Tensor>& inputs) const {
  if (inputs.size() != inputs_.size()) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto &a = inputs[i], &b = inputs_[i];
    if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type() || a.device() != b.device()) return false;
  }
  return true;
}

bool Replay::record() {
  try {
    auto recording = make_();
    recording->record([this] { outputs_ = work_(inputs_); });
    recording_ = std::move(recording);
    return true;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    log::warning(cat(what_, " cannot be recorded, and is called each time: ", text.substr(0, text.find('\n'))));
    make_ = {};
    outputs_.clear();
    inputs_.clear();
    return false;
  }
}

MakeRecording recordings_for(const at::Device& device, const std::string& option) {
  auto out = recordings_on(device);
  SDG_CHECK_USAGE(
      out, option, ": cuda records on a GPU, ",
      device.is_cpu() ? "and the device is the CPU" : "by a program that was built with nvcc, which this one was not",
      "; choose none");
  return out;
}

}  // namespace sdg
