#include "sdg/data/loader.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/data/order.h"

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

void mirror(uint8_t* image, int64_t rows, int64_t width) {
  for (int64_t y = 0; y < rows; ++y) std::reverse(image + y * width, image + (y + 1) * width);
}

}  // namespace

struct Loader::State {
  const Dataset& dataset;
  LoaderOptions options;
  EpochOrder order;
  int64_t run_of_rows;

  std::mutex mutex;
  std::condition_variable room, ready;
  std::deque<std::shared_ptr<Pending>> queue;  // in the order of steps
  int64_t next_sample;                         // the first sample not yet in the queue
  bool stop = false;
  std::vector<std::thread> threads;

  State(const Dataset& data, const LoaderOptions& wanted, int64_t first_sample)
      : dataset(data), options(wanted), order(wanted.seed, data.size()), next_sample(first_sample) {
    SDG_CHECK(options.batch > 0, "loader: batch must be at least 1, got ", options.batch);
    SDG_CHECK(options.threads >= 0, "loader: threads must be at least 0, got ", options.threads);
    SDG_CHECK(options.prefetch > 0, "loader: prefetch must be at least 1, got ", options.prefetch);
    SDG_CHECK(first_sample >= 0, "loader: the first sample must be at least 0, got ", first_sample);
    // Several runs a thread even out images that take longer than others.
    run_of_rows = std::max<int64_t>(1, options.batch / (4 * std::max<int64_t>(1, options.threads)));
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
      pending->batch.sample = rng::consecutive(next_sample, options.batch);
      pending->batch.index.resize(static_cast<size_t>(options.batch));
      pending->batch.x = at::empty({options.batch, dataset.channels(), size, size}, at::kFloat);
    } catch (...) {
      pending->failure = std::current_exception();
      ready.notify_all();
    }
    next_sample += options.batch;
    return pending;
  }

  void load_rows(Batch& batch, int64_t first, int64_t count) {
    if (dataset.latents()) {
      load_latents(batch, first, count);
    } else {
      load_images(batch, first, count);
    }
  }

  // The latent of a sample is drawn anew each time, keyed by the sample.
  void load_latents(Batch& batch, int64_t first, int64_t count) {
    const auto& latents = *dataset.latents();
    const int64_t size = dataset.image_size(), channels = dataset.channels(), values = channels * size * size;
    const auto samples = at::IntArrayRef(batch.sample).slice(static_cast<size_t>(first), static_cast<size_t>(count));
    const Tensor draws = options.flip ? rng::uniform({options.seed, rng::Purpose::kFlip, 0}, samples, {1}) : Tensor();
    const Tensor noise = latents.has_noise()
                             ? rng::normal({options.seed, rng::Purpose::kLatent, 0}, samples, {channels, size, size})
                             : Tensor();
    float* out = batch.x.mutable_data_ptr<float>() + first * values;
    for (int64_t i = 0; i < count; ++i, out += values) {
      const int64_t index = order.image_of(samples[static_cast<size_t>(i)]);
      batch.index[static_cast<size_t>(first + i)] = index;
      const bool flipped = options.flip && draws.const_data_ptr<float>()[i] < 0.5F;
      latents.read_into(index, flipped, noise.defined() ? noise.const_data_ptr<float>() + i * values : nullptr, out);
    }
  }

  void load_images(Batch& batch, int64_t first, int64_t count) {
    const int64_t size = dataset.image_size(), rows = dataset.channels() * size, values = rows * size;
    const auto samples = at::IntArrayRef(batch.sample).slice(static_cast<size_t>(first), static_cast<size_t>(count));
    const Tensor draws = options.flip ? rng::uniform({options.seed, rng::Purpose::kFlip, 0}, samples, {1}) : Tensor();
    std::vector<uint8_t> image(static_cast<size_t>(values));
    float* out = batch.x.mutable_data_ptr<float>() + first * values;
    for (int64_t i = 0; i < count; ++i, out += values) {
      // What replaces a broken image comes with its own index, and so with its own label and memory.
      batch.index[static_cast<size_t>(first + i)] =
          dataset.read_into(order.image_of(samples[static_cast<size_t>(i)]), image.data());
      if (options.flip && draws.const_data_ptr<float>()[i] < 0.5F) mirror(image.data(), rows, size);
      for (int64_t v = 0; v < values; ++v) out[v] = static_cast<float>(image[static_cast<size_t>(v)]) / 127.5F - 1.0F;
    }
  }

  // The oldest batch with rows nobody has taken; starts a new one while there is room. Null if there is nothing to do.
  std::shared_ptr<Pending> find_work() {
    for (const auto& pending : queue) {
      if (pending->taken < options.batch && !pending->failure) return pending;
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
      const int64_t first = pending->taken, count = std::min(run_of_rows, options.batch - first);
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
      if (pending->failure || pending->done == options.batch) ready.notify_all();
    }
  }

  Batch next() {
    std::unique_lock lock(mutex);
    if (threads.empty()) load_here();
    ready.wait(lock,
               [&] { return !queue.empty() && (queue.front()->failure || queue.front()->done == options.batch); });
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
    load_rows(pending.batch, 0, options.batch);
    pending.done = options.batch;
  }
};

Loader::Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_sample)
    : state_(std::make_unique<State>(dataset, options, first_sample)) {}
Loader::~Loader() = default;

Batch Loader::next() {
  return state_->next();
}

}  // namespace sdg::data
