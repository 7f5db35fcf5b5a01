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
#include <utility>

#include "ranks/life_signs.h"

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
  GlooReducer(const Place& place, milliseconds patience) : Reducer(place.rank, place.ranks) {
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
      group_ = c10::make_intrusive<Gloo>(own(shared), static_cast<int>(rank()), static_cast<int>(ranks()), options);
      return {};
    });
    met_ = true;
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
      signs_->conclude(why, [group = std::exchange(group_, {})]() mutable { group.reset(); });
      if (found && found->first_gone) throw FirstRankLost(message);
      throw RankError(message);
    }
  }

  // Gloo works in place on contiguous tensors in main memory.
  void exchange(const std::string& what, Tensor& values, const std::function<Pending(std::vector<Tensor>&)>& start) {
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
    const auto counts = counts_of(rows.size(0));
    const auto most = *std::max_element(counts.begin(), counts.end());
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
    for (size_t i = 0; i < parts.size(); ++i) parts[i] = parts[i].narrow(0, 0, counts[i]);
    return at::cat(parts).to(rows.device());
  }

  std::vector<int64_t> counts_of(int64_t own) {
    std::vector<int64_t> counts;
    for (const auto& count : gathered_alike(at::full({1}, own, at::kLong))) counts.push_back(count.item<int64_t>());
    return counts;
  }

  std::vector<Tensor> gathered_alike(const Tensor& own) {
    std::vector<Tensor> inputs{own};
    std::vector<std::vector<Tensor>> outputs(1);
    for (int64_t i = 0; i < ranks(); ++i) outputs[0].push_back(at::empty_like(own));
    run(cat("a gathering of ", own.scalar_type(), " ", to_string(own.sizes())),
        [&] { return group_->allgather(outputs, inputs); });
    return outputs[0];
  }

  // Each rank adds one slice of all ranks' parts, in their order, and all gather the slices: for one part a rank as
  // many bytes as a ring, and the order is one rank's. In chunks, so that the buffers stay small beside the parts.
  void sum_in_order_into(Tensor& sum, const std::vector<Tensor>& parts) override {
    const auto counts = counts_of(static_cast<int64_t>(parts.size()));
    std::vector<Tensor> flat;
    for (const auto& part : parts) flat.push_back(part.detach().to(at::kCPU).contiguous().view({-1}));
    auto out = sum.is_cpu() && sum.is_contiguous() ? sum.view({-1}) : at::empty_like(flat[0]);
    constexpr int64_t kChunk = 1 << 21;
    for (int64_t first = 0; first < flat[0].size(0); first += kChunk)
      add_chunk(out, flat, counts, first, std::min(kChunk, flat[0].size(0) - first));
    if (out.const_data_ptr() != sum.const_data_ptr()) sum.copy_(out.view(sum.sizes()));
  }

  void add_chunk(Tensor& out, const std::vector<Tensor>& flat, const std::vector<int64_t>& counts, int64_t first,
                 int64_t size) {
    const int64_t slice = (size + ranks() - 1) / ranks();
    const auto range = [&](int64_t of) {  // within the chunk; the last ones may be short or empty
      return RowRange{std::min(size, of * slice), std::min(size, (of + 1) * slice)};
    };
    const auto own = range(rank());
    std::vector<Tensor> sent;
    std::vector<int64_t> sent_sizes, got_sizes;
    for (int64_t to = 0; to < ranks(); ++to) {
      for (const auto& part : flat) sent.push_back(part.narrow(0, first + range(to).begin, range(to).size()));
      sent_sizes.push_back(range(to).size() * static_cast<int64_t>(flat.size()));
      got_sizes.push_back(own.size() * counts[static_cast<size_t>(to)]);
    }
    int64_t parts = 0;
    for (const auto count : counts) parts += count;
    auto input = at::cat(sent), output = at::empty({own.size() * parts}, input.options());
    run(cat("the exchange of ", size, " numbers of the gradient"),
        [&] { return group_->alltoall_base(output, input, got_sizes, sent_sizes); });
    auto added = at::zeros({slice}, input.options());  // [slice], filled up where this rank's is short
    const auto rows = output.view({parts, own.size()});
    auto target = added.narrow(0, 0, own.size());
    target.copy_(rows[0]);
    for (int64_t i = 1; i < parts; ++i) target.add_(rows[i]);
    const auto slices = gathered_alike(added);
    for (int64_t from = 0; from < ranks(); ++from) {
      const auto part = range(from);
      out.narrow(0, first + part.begin, part.size()).copy_(slices[static_cast<size_t>(from)].narrow(0, 0, part.size()));
    }
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

  std::unique_ptr<LifeSigns> signs_;
  c10::intrusive_ptr<Gloo> group_;
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

}  // namespace sdg::ranks
#endif
