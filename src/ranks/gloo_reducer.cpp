// Where Gloo's headers are, ranks are joined by LibTorch's c10d; this file alone sees them.
#include "sdg/core/error.h"
#include "sdg/ranks/ranks.h"

namespace sdg::ranks {
namespace {
std::shared_ptr<Reducer> one_rank() {
  return {&Reducer::local(), [](Reducer*) {}};
}
}  // namespace
}  // namespace sdg::ranks

#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace sdg::ranks {
namespace {

using Gloo = c10d::ProcessGroupGloo;

// Of the messages of c10d the first line; backtraces help nobody here.
std::string line_of(const std::exception& failure) {
  const auto* known = dynamic_cast<const c10::Error*>(&failure);
  const std::string text = known ? known->what_without_backtrace() : failure.what();
  return text.substr(0, text.find('\n'));
}

auto device_for(const Place& place) {
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface && *interface) return Gloo::createDeviceForInterface(interface);
  const bool here = place.host == "localhost" || place.host == "::1" || place.host.rfind("127.", 0) == 0;
  return here ? Gloo::createDeviceForHostname(place.host) : Gloo::createDefaultDevice();
}

class GlooReducer : public Reducer {
 public:
  GlooReducer(const Place& place, std::chrono::milliseconds patience) : Reducer(place.rank, place.ranks) {
    run(cat("meeting the other ranks at ", place.host, " port ", place.port), [&]() -> c10::intrusive_ptr<c10d::Work> {
      c10d::TCPStoreOptions store;
      store.port = static_cast<uint16_t>(place.port);
      store.isServer = place.rank == 0 && !place.hosted;
      store.numWorkers = static_cast<size_t>(place.ranks);
      store.waitWorkers = !place.hosted;
      store.timeout = patience;
      auto options = Gloo::Options::create(patience);
      options->devices.push_back(device_for(place));
      // One thread: calls come one at a time, and so finish in their order.
      options->threads = 1;
      auto shared = c10::make_intrusive<c10d::TCPStore>(place.host, store);
      shared->setTimeout(patience);
      auto own = c10::make_intrusive<c10d::PrefixStore>(cat("sdg/attempt_", place.attempt), shared);
      group_ = c10::make_intrusive<Gloo>(own, static_cast<int>(place.rank), static_cast<int>(place.ranks), options);
      return {};
    });
  }

 private:
  // What goes wrong is told with the rank and the call.
  void run(const std::string& what, const std::function<c10::intrusive_ptr<c10d::Work>()>& start) {
    try {
      if (const auto work = start()) work->wait();
    } catch (const std::exception& failure) {
      throw Error(cat("rank ", rank(), " of ", ranks(), ": ", what,
                      " failed, another rank may have ended or be stuck: ", line_of(failure)));
    }
  }

  // Gloo works in place on contiguous tensors in main memory.
  void exchange(const std::string& what, Tensor& values,
                const std::function<c10::intrusive_ptr<c10d::Work>(std::vector<Tensor>&)>& start) {
    if (values.numel() == 0) return;
    std::vector<Tensor> staged{values.detach().to(at::kCPU).contiguous()};
    run(cat(what, " of ", values.scalar_type(), " ", to_string(values.sizes())), [&] { return start(staged); });
    if (staged[0].const_data_ptr() != values.const_data_ptr()) values.copy_(staged[0]);
  }

  void reduce_into(Tensor& values, Op op) override {
    c10d::AllreduceOptions options;
    options.reduceOp = op == Op::kSum ? c10d::ReduceOp::SUM : c10d::ReduceOp::MAX;
    exchange(op == Op::kSum ? "a sum" : "a maximum", values,
             [&](auto& tensors) { return group_->allreduce(tensors, options); });
  }

  void broadcast_into(Tensor& values, int64_t root) override {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    exchange("a broadcast", values, [&](auto& tensors) { return group_->broadcast(tensors, options); });
  }

  // Gloo gathers equal shapes: shorter shares are filled up, and cut again.
  Tensor gathered(const Tensor& rows) override {
    const auto counts = gathered_alike(at::full({1}, rows.size(0), at::kLong));
    int64_t most = 0;
    for (const auto& count : counts) most = std::max(most, count.item<int64_t>());
    auto shape = rows.sizes().vec();
    shape[0] = most;
    auto filled = rows.detach().to(at::kCPU).contiguous();
    if (filled.size(0) < most) {
      auto larger = at::zeros(shape, filled.options());
      larger.narrow(0, 0, filled.size(0)).copy_(filled);
      filled = larger;
    }
    if (filled.numel() == 0) return rows;
    auto parts = gathered_alike(filled);
    for (size_t i = 0; i < parts.size(); ++i) parts[i] = parts[i].narrow(0, 0, counts[i].item<int64_t>());
    return at::cat(parts).to(rows.device());
  }

  std::vector<Tensor> gathered_alike(const Tensor& own) {
    std::vector<Tensor> inputs{own};
    std::vector<std::vector<Tensor>> outputs(1);
    for (int64_t i = 0; i < ranks(); ++i) outputs[0].push_back(at::empty_like(own));
    run(cat("a gathering of ", own.scalar_type(), " ", to_string(own.sizes())),
        [&] { return group_->allgather(outputs, inputs); });
    return outputs[0];
  }

  c10::intrusive_ptr<Gloo> group_;
};

}  // namespace

bool can_connect() {
  return true;
}

std::shared_ptr<Reducer> connect(const Place& place, std::chrono::milliseconds patience) {
  if (place.ranks == 1) return one_rank();
  return std::make_shared<GlooReducer>(place, patience);
}

}  // namespace sdg::ranks

#else

namespace sdg::ranks {

bool can_connect() {
  return false;
}

std::shared_ptr<Reducer> connect(const Place& place, std::chrono::milliseconds) {
  SDG_CHECK(place.ranks == 1,
            "this build cannot connect ranks: install Gloo's headers (Debian: libgloo-dev) and build again");
  return one_rank();
}

}  // namespace sdg::ranks
#endif
