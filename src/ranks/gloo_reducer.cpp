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
#include <c10/util/Flags.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <utility>

#include "ranks/life_signs.h"
#include "ranks/nccl_group.h"

C10_DECLARE_int(caffe2_log_level);

namespace sdg::ranks {
namespace {

using Gloo = c10d::ProcessGroupGloo;
using Pending = c10::intrusive_ptr<c10d::Work>;
using std::chrono::milliseconds;

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

c10::intrusive_ptr<c10d::Store> open_store(const Place& place, milliseconds patience) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(place.port);
  options.isServer = place.rank == 0 && !place.hosted;
  options.numWorkers = static_cast<size_t>(place.ranks);
  options.waitWorkers = false;  // who has not come is told below
  options.timeout = patience;
  try {
    return c10::make_intrusive<c10d::TCPStore>(place.host, options);
  } catch (const std::exception& failure) {
    const auto line = line_of(failure);
    SDG_CHECK_USAGE(!options.isServer || line.find("EADDRINUSE") == std::string::npos, "port ", place.port,
                    " is in use: give another one (torchrun --master-port, MASTER_PORT); sdg launch finds a free one");
    const auto message = cat("rank ", place.rank, " of ", place.ranks, ": ",
                             options.isServer ? "cannot listen at " : "does not reach rank 0 at ", place.host, " port ",
                             place.port, ": ", line);
    throw FirstRankLost(message);
  }
}

class GlooReducer : public Reducer {
 public:
  GlooReducer(const Place& place, milliseconds patience) : Reducer(place.rank, place.ranks), patience_(patience) {
    const auto shared = open_store(place, patience);
    shared->setTimeout(patience);
    const auto own = [&](const c10::intrusive_ptr<c10d::Store>& store) {
      return c10::make_intrusive<c10d::PrefixStore>(cat("sdg/attempt_", place.attempt), store);
    };
    signs_ = std::make_unique<LifeSigns>(own(shared->clone()), own(shared->clone()), rank(), ranks(), patience);
    run(cat("meeting the others at ", place.host, " port ", place.port), [&]() -> Pending {
      // What is left of patience is for finding out who is missing.
      const auto margin = std::min(milliseconds(5000), patience / 4);
      auto options = Gloo::Options::create(patience - margin);
      options->devices.push_back(device_for(place));
      options->threads = 1;  // calls come one at a time, and so finish in their order
      shared->setTimeout(patience - margin);
      store_ = own(shared);
      group_ = c10::make_intrusive<Gloo>(store_, static_cast<int>(rank()), static_cast<int>(ranks()), options);
      return {};
    });
    met_ = true;
  }

  void exchange_on_gpus() {
    run("meeting the others by NCCL", [&]() -> Pending {
      gpus_ = nccl_group(c10::make_intrusive<c10d::PrefixStore>("nccl", store_), rank(), ranks(), patience_);
      return {};
    });
  }

  void at(const std::string& place) override { signs_->at(place); }
  void failed(const std::string& why) { signs_->failed(why); }

 private:
  // What goes wrong is told with the rank, its place and the call.
  void run(const std::string& what, const std::function<Pending()>& start) {
    if (!group_ && met_) throw RankError(cat("rank ", rank(), " of ", ranks(), ": ranks were lost before"));
    try {
      if (const auto work = start()) work->wait();
    } catch (const std::exception& failure) {
      const auto found = signs_->diagnose();
      const auto why = found ? found->text : line_of(failure);
      const auto message = cat("rank ", rank(), " of ", ranks(), ", at ", signs_->place(), ", in ", what, ": ", why);
      signs_->conclude(why, [group = std::exchange(group_, {}), gpus = std::exchange(gpus_, {})]() mutable {
        gpus.reset();
        group.reset();
      });
      if (found && found->first_gone) throw FirstRankLost(message);
      throw RankError(message);
    }
  }

  // Where there is NCCL, tensors on a GPU stay there; all others go through main memory.
  c10d::Backend& group_for(const Tensor& tensor) { return gpus_ && tensor.is_cuda() ? *gpus_ : *group_; }
  Tensor staged(const Tensor& tensor) const {
    return (gpus_ && tensor.is_cuda() ? tensor.detach() : tensor.detach().to(at::kCPU)).contiguous();
  }
  // Addresses of nothing are refused: there is room for one number at least.
  static Tensor room_for(int64_t numbers, const Tensor& like) {
    return at::empty({std::max<int64_t>(1, numbers)}, like.options()).narrow(0, 0, numbers);
  }

  // Groups work in place on contiguous tensors.
  void exchange(const std::string& what, Tensor& values, const std::function<Pending(std::vector<Tensor>&)>& start) {
    if (values.numel() == 0) return;
    std::vector<Tensor> own{staged(values)};
    run(cat(what, " of ", values.scalar_type(), " ", to_string(values.sizes())), [&] { return start(own); });
    if (own[0].const_data_ptr() != values.const_data_ptr()) values.copy_(own[0]);
  }

  void reduce_into(Tensor& values, Op op) override {
    c10d::AllreduceOptions options;
    options.reduceOp = op == Op::kSum ? c10d::ReduceOp::SUM : c10d::ReduceOp::MAX;
    exchange(op == Op::kSum ? "a sum" : "a maximum", values,
             [&](auto& tensors) { return group_for(tensors[0]).allreduce(tensors, options); });
  }

  void broadcast_into(Tensor& values, int64_t root) override {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    exchange("a broadcast", values, [&](auto& tensors) { return group_for(tensors[0]).broadcast(tensors, options); });
  }

  // Groups gather equal shapes: shorter shares are filled up, and cut again.
  Tensor gathered(const Tensor& rows, const std::vector<int64_t>& told) override {
    const auto counts = told.empty() ? counts_of(rows.size(0)) : told;
    const auto most = *std::max_element(counts.begin(), counts.end());
    auto shape = rows.sizes().vec();
    shape[0] = most;
    auto filled = staged(rows);
    if (filled.size(0) < most) {
      auto larger = at::zeros(shape, filled.options());
      larger.narrow(0, 0, filled.size(0)).copy_(filled);
      filled = larger;
    }
    if (filled.numel() == 0) return rows;
    auto parts = gathered_alike(filled).unbind(0);
    for (size_t i = 0; i < parts.size(); ++i) parts[i] = parts[i].narrow(0, 0, counts[i]);
    return at::cat(parts).to(rows.device());
  }

  std::vector<int64_t> counts_of(int64_t own) {
    const auto counts = gathered_alike(at::full({1}, own, at::kLong));
    return {counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + counts.numel()};
  }

  Tensor gathered_alike(const Tensor& own) override {
    std::vector<Tensor> inputs{staged(own)};
    auto shape = own.sizes().vec();
    shape.insert(shape.begin(), ranks());
    const auto out = at::empty(shape, inputs[0].options());
    std::vector<std::vector<Tensor>> outputs{out.unbind(0)};
    if (own.numel() > 0) {
      run(cat("a gathering of ", own.scalar_type(), " ", to_string(own.sizes())),
          [&] { return group_for(inputs[0]).allgather(outputs, inputs); });
    }
    return out.to(own.device());
  }

  Tensor exchanged(const Tensor& values, const std::vector<int64_t>& to, const std::vector<int64_t>& from) override {
    auto sent = staged(values);
    auto sent_sizes = to, got_sizes = from;
    if (sent.numel() == 0) sent = room_for(0, sent);
    auto got = room_for(std::accumulate(from.begin(), from.end(), int64_t{0}), sent);
    run(cat("an exchange of ", values.numel(), " numbers"),
        [&] { return group_for(sent).alltoall_base(got, sent, got_sizes, sent_sizes); });
    return got.to(values.device());
  }

  void wait_for_first() override {
    ++meetings_;
    if (rank() == 0) {
      try {
        signs_->come(meetings_);
      } catch (const std::exception& failure) {
        throw RankError(cat("rank 0 of ", ranks(), ", at ", signs_->place(), ": ", line_of(failure)));
      }
    } else {
      signs_->wait(meetings_);
    }
  }

  c10::intrusive_ptr<c10d::Store> store_;
  std::unique_ptr<LifeSigns> signs_;
  c10::intrusive_ptr<Gloo> group_;
  c10::intrusive_ptr<c10d::Backend> gpus_;  // null without NCCL
  milliseconds patience_;
  bool met_ = false;
  int64_t meetings_ = 0;
};

}  // namespace

bool can_connect() {
  return true;
}

std::shared_ptr<Reducer> connect(const Place& place, milliseconds patience) {
  if (place.ranks == 1) return one_rank();
  FLAGS_caffe2_log_level = c10::GLOG_FATAL;  // c10d writes traces to standard error of what it throws besides
  return std::make_shared<GlooReducer>(place, patience);
}

void tell_failure(Reducer& reducer, const std::string& why) {
  if (auto* gloo = dynamic_cast<GlooReducer*>(&reducer)) gloo->failed(why);
}

void exchange_on_gpus(Reducer& reducer) {
  if (auto* gloo = dynamic_cast<GlooReducer*>(&reducer)) gloo->exchange_on_gpus();
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

void tell_failure(Reducer&, const std::string&) {}
void exchange_on_gpus(Reducer&) {}

}  // namespace sdg::ranks
#endif
