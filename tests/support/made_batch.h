#pragma once
#include "sdg/core/rng.h"
#include "sdg/data/loader.h"

namespace sdg::test {

/// The 8 samples of a step from 40 images that go round: noise of [1, 8, 8], told by its sample alone.
inline data::Batch made_batch(int64_t step = 0) {
  data::Batch batch;
  batch.sample = rng::consecutive(8 * step, 8);
  for (const auto sample : batch.sample) batch.index.push_back(sample % 40);
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.sample, {1, 8, 8});
  return batch;
}

/// `size` samples of a step from `images` images that go round: noise of [1, 8, 8], the same whenever an image comes.
inline data::Batch batch_of_images(int64_t step, int64_t size, int64_t images) {
  data::Batch batch;
  batch.sample = rng::consecutive(size * step, size);
  for (const auto sample : batch.sample) batch.index.push_back(sample % images);
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.index, {1, 8, 8});
  return batch;
}

}  // namespace sdg::test
