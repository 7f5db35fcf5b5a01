#include "sdg/data/loader.h"

#include <ATen/Parallel.h>
#include <torch/cuda.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::data {
namespace {

// A batch in the making. Threads take runs of its rows, so that one batch of large photographs is decoded by all of
// them.
struct Pending {
  Batch batch;
  int64_t taken = 0;  // rows handed out
  int64_t done = 0;   // rows finished
  std::exception_ptr failure;
};

}  // namespace

struct Loader::State {
  const Dataset& dataset;
  LoaderOptions options;
  std::vector<int64_t> rows;  // of each batch
  int64_t share;              // their number
  EpochOrder order;
  int64_t run_of_rows;

  std::mutex mutex;
  std::condition_variable room, ready;
  std::deque<std::shared_ptr<Pending>> queue;  // in the order of steps
  int64_t next_sample;                         // the first sample not yet in the queue
  bool stop = false;
  std::vector<std::thread> threads;

  State(const Dataset& data, const LoaderOptions& wanted, int64_t first_sample)
      : dataset(data),
        options(wanted),
        rows(wanted.rows.empty() ? rng::consecutive(0, std::max<int64_t>(0, wanted.batch)) : wanted.rows),
        share(static_cast<int64_t>(rows.size())),
        order(wanted.seed, data.size(), wanted.order.value_or(order_kind(data.size()))),
        next_sample(first_sample) {
    SDG_CHECK(options.batch > 0, "loader: batch must be at least 1, got ", options.batch);
    SDG_CHECK(options.threads >= 0, "loader: threads must be at least 0, got ", options.threads);
    SDG_CHECK(options.prefetch > 0, "loader: prefetch must be at least 1, got ", options.prefetch);
    SDG_CHECK(first_sample >= 0, "loader: the first sample must be at least 0, got ", first_sample);
    SDG_CHECK(std::is_sorted(rows.begin(), rows.end()) && rows.front() >= 0 && rows.back() < options.batch,
              "loader: rows ", rows.front(), " to ", rows.back(), " of a batch of ", options.batch);
    // Several runs a thread even out images that take longer than others.
    run_of_rows = std::max<int64_t>(1, share / (4 * std::max<int64_t>(1, options.threads)));
    try {
      for (int64_t i = 0; i < options.threads; ++i) threads.emplace_back([this] { serve(); });
    } catch (...) {
      shut_down();
      throw;
    }
  }

  ~State() { shut_down(); }

  void shut_down() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    room.notify_all();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }

  // Out of memory is the batch's failure: thrown in a loading thread it would end the program.
  const std::shared_ptr<Pending>& start_batch() {
    auto& pending = queue.emplace_back(std::make_shared<Pending>());
    try {
      const int64_t size = dataset.image_size();
      for (const auto row : rows) pending->batch.sample.push_back(next_sample + row);
      pending->batch.index.resize(rows.size());
      const Shape shape{share, dataset.channels(), size, size};
      const auto memory = at::TensorOptions().pinned_memory(options.for_device && torch::cuda::is_available());
      pending->batch.x = at::empty(shape, memory.dtype(bytes() ? at::kByte : at::kFloat));
      if (bytes() && options.flip) pending->batch.mirrored = at::empty({share}, memory.dtype(at::kBool));
    } catch (...) {
      pending->failure = std::current_exception();
      ready.notify_all();
    }
    next_sample += options.batch;
    return pending;
  }

  bool bytes() const { return options.for_device && dataset.samples().has_pixels(); }

  // What is drawn of a sample is keyed by it: a flip and, of a distribution, where in it.
  void load_rows(Batch& batch, int64_t first, int64_t count) {
    const auto samples = at::IntArrayRef(batch.sample).slice(static_cast<size_t>(first), static_cast<size_t>(count));
    const auto& source = dataset.samples();
    const Tensor x = batch.x.narrow(0, first, count);  // [count, C, S, S]
    Draws draws;
    if (options.flip)
      draws.mirrored = rng::uniform({options.seed, rng::Purpose::kFlip, 0}, samples, {1}).lt(0.5).squeeze(1);
    if (source.has_noise())
      draws.noise = rng::normal({options.seed, rng::Purpose::kLatent, 0}, samples, x.sizes().slice(1));
    std::vector<int64_t> indices;
    for (const int64_t sample : samples) indices.push_back(order.image_of(sample));
    // What replaces a broken image comes with its own index, and so with its own label and memory.
    std::vector<int64_t> taken;
    if (bytes()) {
      for (size_t i = 0; i < indices.size(); ++i)
        taken.push_back(source.read_pixels(indices[i], x[static_cast<int64_t>(i)].mutable_data_ptr<uint8_t>()));
      if (draws.mirrored.defined()) batch.mirrored.narrow(0, first, count).copy_(draws.mirrored);
    } else {
      taken = source.read_rows(indices, x, draws);
    }
    std::copy(taken.begin(), taken.end(), batch.index.begin() + first);
  }

  // The oldest batch with rows nobody has taken; starts a new one while there is room. Null if there is nothing to do.
  std::shared_ptr<Pending> find_work() {
    for (const auto& pending : queue) {
      if (pending->taken < share && !pending->failure) return pending;
    }
    if (static_cast<int64_t>(queue.size()) >= options.prefetch) return nullptr;
    const auto& pending = start_batch();
    return pending->failure ? nullptr : pending;
  }

  void serve() {
    at::set_num_threads(1);  // no pool of kernel threads beside the training's
    std::unique_lock lock(mutex);
    while (true) {
      std::shared_ptr<Pending> pending;
      room.wait(lock, [&] { return stop || (pending = find_work()) != nullptr; });
      if (stop) return;
      const int64_t first = pending->taken, count = std::min(run_of_rows, share - first);
      pending->taken += count;
      lock.unlock();
      std::exception_ptr failure;
      try {
        load_rows(pending->batch, first, count);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      pending->done += count;
      if (failure && !pending->failure) pending->failure = failure;
      if (pending->failure || pending->done == share) ready.notify_all();
    }
  }

  Batch next() {
    std::unique_lock lock(mutex);
    if (threads.empty()) load_here();
    ready.wait(lock, [&] { return !queue.empty() && (queue.front()->failure || queue.front()->done == share); });
    if (queue.front()->failure) std::rethrow_exception(queue.front()->failure);
    Batch batch = std::move(queue.front()->batch);
    queue.pop_front();
    lock.unlock();
    room.notify_all();
    return batch;
  }

  void load_here() {
    if (queue.empty()) start_batch();
    Pending& pending = *queue.front();
    if (pending.failure) return;
    load_rows(pending.batch, 0, share);
    pending.done = share;
  }
};

Tensor values_on(const at::Device& device, const Batch& batch, int64_t first, int64_t count) {
  const auto rows = to_device(batch.x.narrow(0, first, count), device);
  if (rows.scalar_type() != at::kByte) return rows;
  // A tensor divides where a GPU would multiply by a number's reciprocal, which rounds otherwise.
  const auto step = at::full({}, 127.5F, rows.options().dtype(at::kFloat));
  const auto values = rows.to(at::kFloat).div_(step).sub_(1);
  if (!batch.mirrored.defined()) return values;
  const auto mirrored = to_device(batch.mirrored.narrow(0, first, count), device);
  return at::where(mirrored.view({-1, 1, 1, 1}), values.flip({3}), values);
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_sample)
    : state_(std::make_unique<State>(dataset, options, first_sample)) {}
Loader::~Loader() = default;

Batch Loader::next() {
  return state_->next();
}

}  // namespace sdg::data
