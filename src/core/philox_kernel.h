#pragma once
#include <cstdint>

/// 90 for compute capability 9.0, 0 where CUDA cannot say.
extern "C" int sdg_compute_capability(int device);

/// Rows of Philox draws on the current CUDA device, queued on `stream` (a cudaStream_t): out [rows, count], counters
/// [rows]. The words are those of rng::philox. Null, or CUDA's text on what went wrong. Built by nvcc, without
/// LibTorch.
extern "C" const char* sdg_philox_fill(int normal, float* out, const int64_t* samples, int64_t rows, int64_t count,
                                       uint32_t key0, uint32_t key1, void* stream);
