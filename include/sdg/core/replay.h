#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg {

/// Work that a device has been shown once and can be told to do again without the host's part of it: a CUDA graph.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Takes down what `work` queues; may run it before, to make ready what is made at the first use. Once, and first.
  virtual void record(const std::function<void()>& work) = 0;
  /// The same operations on the same memory, queued at once. Numbers of the host are what they were when recorded.
  virtual void replay() = 0;
};
using MakeRecording = std::function<std::unique_ptr<Recording>()>;

/// Makes recordings on `device`; empty where there are none: on a CPU, and in a program built without CUDA's headers.
MakeRecording recordings_on(const at::Device& device);
/// The same for who needs them: throws UsageError that begins with the option's name where there are none.
MakeRecording recordings_for(const at::Device& device, const std::string& option);

/// A function of tensors that is called again and again with tensors of the same shapes. The first call is made as it
/// stands, the second recorded, all further ones replayed; tensors of other shapes begin anew. What cannot be recorded
/// is said by one warning, and called as it stands from then on.
///
/// Whatever changes from call to call must be an input: what the function takes from elsewhere, a number of the host
/// above all, is as it was when recorded. What comes out has no graph of gradients, which may be taken inside. Not for
/// several threads at once.
class Replay {
 public:
  using Work = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
  /// `what` is the subject of the warning: "the network's evaluation".
  Replay(std::string what, Work work, MakeRecording make);
  /// New tensors, which later calls leave alone.
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs);
  /// The same without a copy: the tensors may be written again by the next call, or be the inputs' own.
  std::vector<Tensor> lend(const std::vector<Tensor>& inputs);

 private:
  bool replayed(const std::vector<Tensor>& inputs);
  bool fits(const std::vector<Tensor>& inputs) const;
  bool record();

  std::string what_;
  Work work_;
  MakeRecording make_;  // empty once something could not be recorded
  std::vector<Tensor> inputs_, outputs_;
  std::unique_ptr<Recording> recording_;  // lets go of its memory before its tensors do
};

}  // namespace sdg
