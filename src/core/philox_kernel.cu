// Four draws a thread: one block of Philox4x32-10. The slow twin is draw_by_tensors in philox_device.cpp.
#include <cuda_runtime.h>

#include "core/philox_kernel.h"

namespace {

__device__ uint4 philox(uint4 c, uint32_t k, uint32_t l) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t p_high = __umulhi(0xD2511F53u, c.x), p_low = 0xD2511F53u * c.x;
    const uint32_t q_high = __umulhi(0xCD9E8D57u, c.z), q_low = 0xCD9E8D57u * c.z;
    c = make_uint4(q_high ^ c.y ^ k, q_low, p_high ^ c.w ^ l, p_low);
    k += 0x9E3779B9u;
    l += 0xBB67AE85u;
  }
  return c;
}

__device__ double open_unit(uint32_t bits) {
  return (static_cast<double>(bits) + 0.5) * 0x1p-32;
}

__device__ float2 normals(uint32_t of_radius, uint32_t of_angle) {
  const double radius = sqrt(-2.0 * log(open_unit(of_radius)));
  double sine, cosine;
  sincos(6.283185307179586 * open_unit(of_angle), &sine, &cosine);
  return make_float2(static_cast<float>(radius * cosine), static_cast<float>(radius * sine));
}

template <bool kNormal>
__global__ void fill(float* out, const int64_t* samples, int64_t blocks, int64_t total, int64_t count, uint32_t key0,
                     uint32_t key1) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total; i += stride) {
    const int64_t row = i / blocks, index = i % blocks;
    const auto sample = static_cast<uint64_t>(samples[row]);
    const uint4 words = philox(make_uint4(static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                                          static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32)),
                               key0, key1);
    float value[4];
    if (kNormal) {
      const float2 first = normals(words.x, words.y), second = normals(words.z, words.w);
      value[0] = first.x;
      value[1] = first.y;
      value[2] = second.x;
      value[3] = second.y;
    } else {
      value[0] = static_cast<float>(words.x >> 8) * 0x1p-24f;
      value[1] = static_cast<float>(words.y >> 8) * 0x1p-24f;
      value[2] = static_cast<float>(words.z >> 8) * 0x1p-24f;
      value[3] = static_cast<float>(words.w >> 8) * 0x1p-24f;
    }
    float* to = out + row * count + 4 * index;
    const int64_t left = count - 4 * index;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (j < left) to[j] = value[j];
    }
  }
}

}  // namespace

extern "C" const char* sdg_philox_fill(int normal, float* out, const int64_t* samples, int64_t rows, int64_t count,
                                       uint32_t key0, uint32_t key1, void* stream) {
  const int64_t blocks = (count + 3) / 4, total = rows * blocks;
  constexpr int kThreads = 256;
  const int64_t wanted = (total + kThreads - 1) / kThreads;
  const auto grid = static_cast<unsigned>(wanted < 65536 ? wanted : 65536);
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (normal) {
    fill<true><<<grid, kThreads, 0, queue>>>(out, samples, blocks, total, count, key0, key1);
  } else {
    fill<false><<<grid, kThreads, 0, queue>>>(out, samples, blocks, total, count, key0, key1);
  }
  const auto result = cudaGetLastError();
  return result == cudaSuccess ? nullptr : cudaGetErrorString(result);
}

extern "C" int sdg_compute_capability(int device) {
  int major = 0, minor = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) {
    cudaGetLastError();  // not the next call's
    return 0;
  }
  return 10 * major + minor;
}
