// Recordings on CUDA devices.
#include "sdg/core/replay.h"

#ifdef SDG_CUDA_KERNELS  // then CUDA's headers are there
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "sdg/core/device.h"
#endif

namespace sdg {

#ifdef SDG_CUDA_KERNELS
namespace {

class CudaGraph : public Recording {
 public:
  explicit CudaGraph(const at::Device& device) : device_(device) {}
  ~CudaGraph() override {
    try {
      synchronize(device_);  // its memory may still be worked on
    } catch (...) {          // then nothing is any more
    }
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  // On a stream of its own, where nothing else is queued. Libraries make their plans and workspaces at the first use,
  // by stream, which a graph cannot hold.
  void record(const std::function<void()>& work) override {
    synchronize(device_);
    const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device_.index()));
    work();
    synchronize(device_);
    // Other threads, which load data, may use the device meanwhile.
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      end_quietly();
      throw;
    }
    graph_.capture_end();
    synchronize(device_);
  }
  void replay() override { graph_.replay(); }

 private:
  void end_quietly() {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {  // that it failed is being said already
    }
  }

  at::Device device_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace
#endif

MakeRecording recordings_on(const at::Device& device) {
#ifdef SDG_CUDA_KERNELS
  if (device.is_cuda()) return [device] { return std::make_unique<CudaGraph>(device); };
#endif
  return {};
}

}  // namespace sdg
