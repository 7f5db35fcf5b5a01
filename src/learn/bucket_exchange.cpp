#include "sdg/learn/bucket_exchange.h"

#include <ATen/Parallel.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sdg/core/error.h"

namespace sdg::learn {
namespace {

constexpr int64_t kOnGpu = int64_t{1} << 22, kOnCpu = int64_t{1} << 20;

c10::Stream current_stream(const at::Device& device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

std::shared_ptr<c10::Event> event_of(const c10::Stream& stream) {
  auto out = std::make_shared<c10::Event>(stream.device_type());
  out->record(stream);
  return out;
}

}  // namespace

// What the courier queues on a GPU runs beside what the passes do.
struct BucketExchange::OwnStream {
  explicit OwnStream(const at::Device& device)
      : guard(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, /*isHighPriority=*/true)) {}
  c10::StreamGuard guard;
};

BucketExchange::BucketExchange(Tensor gradient, Reducer& reducer, int64_t bucket)
    : gradient_(std::move(gradient)),
      reducer_(reducer),
      bucket_(bucket > 0           ? bucket
              : gradient_.is_cpu() ? kOnCpu
                                   : kOnGpu),
      open_(gradient_.numel()),
      filled_(gradient_.numel()) {
  SDG_CHECK(gradient_.dim() == 1 && gradient_.is_contiguous(), "exchange in buckets: expected a flat gradient, found ",
            gradient_.sizes());
}

BucketExchange::~BucketExchange() {
  {
    const std::lock_guard lock(mutex_);
    broken_off_ = true;
  }
  end();
}

void BucketExchange::end() {
  changed_.notify_all();
  if (courier_.joinable()) courier_.join();
  if (const auto done = std::exchange(all_done_, {})) done->block(current_stream(gradient_.device()));
}

void BucketExchange::filled(int64_t first) {
  {
    const std::lock_guard lock(mutex_);
    if (filled_ - first < bucket_ && first > 0) return;  // too little to speak of
    filled_ = first;
    if (!gradient_.is_cpu()) when_ = event_of(current_stream(gradient_.device()));
  }
  changed_.notify_all();
  if (!courier_.joinable()) courier_ = std::thread([this] { go_on(); });
}

void BucketExchange::finish() {
  if (courier_.joinable()) {
    filled(0);
    end();
  } else {
    filled_ = 0;
    exchange_filled();
  }
  if (failure_) std::rethrow_exception(failure_);
}

void BucketExchange::go_on() {
  at::set_num_threads(1);
  try {
    std::optional<OwnStream> own;
    if (!gradient_.is_cpu()) own.emplace(gradient_.device());
    exchange_filled();
    if (own) all_done_ = event_of(own->guard.current_stream());
  } catch (...) {
    failure_ = std::current_exception();
  }
}

// Bucket after bucket, each when it is there.
void BucketExchange::exchange_filled() {
  const at::NoGradGuard no_grad;
  while (open_ > 0) {
    const RowRange next{std::max<int64_t>(0, open_ - bucket_), open_};
    std::shared_ptr<c10::Event> when;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return broken_off_ || filled_ <= next.begin; });
      if (broken_off_) return;
      when = when_;
    }
    if (when) when->block(current_stream(gradient_.device()));
    exchange(next);
    open_ = next.begin;
  }
}

void BucketExchange::exchange(RowRange bucket) {
  const auto ranks = reducer_.ranks();
  std::vector<int64_t> sizes;
  for (int64_t rank = 0; rank < ranks; ++rank) sizes.push_back(own_rows(bucket.size(), rank, ranks).size());
  auto numbers = gradient_.narrow(0, bucket.begin, bucket.size());
  const auto own = own_rows(bucket.size(), reducer_).size();
  const auto pieces = reducer_.all_to_all(numbers, sizes, std::vector<int64_t>(static_cast<size_t>(ranks), own));
  auto sum = pieces.narrow(0, 0, own);
  for (int64_t rank = 1; rank < ranks; ++rank) sum.add_(pieces.narrow(0, rank * own, own));
  numbers.copy_(reducer_.all_gather(sum, sizes));
}

}  // namespace sdg::learn
