#pragma once
#include <map>
#include <tuple>

#include "sdg/core/replay.h"
#include "sdg/network/network.h"

namespace sdg::generate {

/// Network::answer of networks that outlive this and hold still, recorded once for each kind of condition and replayed
/// with other images, times and values of it. For drawing in one thread.
class RecordedAnswers {
 public:
  explicit RecordedAnswers(MakeRecording make) : make_(std::move(make)) {}
  network::Network::Answer operator()(const network::Network& network, const Tensor& x_t, const Tensor& t,
                                      const model::Condition& condition, bool with_inner);

 private:
  // The network, the condition's mode and which of its tensors there are, the inner head.
  using Key = std::tuple<const network::Network*, model::Condition::Mode, unsigned, bool>;
  MakeRecording make_;
  std::map<Key, Replay> replays_;
};

}  // namespace sdg::generate
