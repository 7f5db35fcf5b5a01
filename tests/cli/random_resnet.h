#pragma once
// A CIFAR ResNet-20 of random weights, as a feature extractor that Python's twin (vision/network_twin.py) can compute
// too.
#include <torch/types.h>

#include "sdg/tensors/tensor_file.h"
#include "sdg/vision/cifar_resnet.h"

namespace sdg::test {

inline void write_resnet(const std::filesystem::path& path, uint64_t seed) {
  torch::manual_seed(seed);
  const vision::CifarResNet net(20);
  tensors::TensorFile file;
  for (const auto& p : net->named_parameters()) file.tensors[p.key()] = p.value().detach();
  for (const auto& b : net->named_buffers()) file.tensors[b.key()] = b.value();
  tensors::write_tensors(path, file);
}

}  // namespace sdg::test
