#!/usr/bin/env bash
# Builds program and GPU tests against the CUDA build of LibTorch, on a machine that needs neither a GPU nor a driver.
#   tools/build_cuda.sh                build/cuda/sdg and build/cuda/tests/sdg_test_gpu
#   tools/build_cuda.sh --runtime      besides fetches CUDA's own libraries (2.7 GB), so that the program starts here too
# The wheel of torch 2.11.0 comes without its dependencies (0.5 GB to fetch, 1 GB unpacked; kept in build/cuda-torch): CUDA's
# headers are needed for our kernels alone, and come with nvcc. Without nvcc (found on PATH, in CUDA_HOME or /usr/local/cuda) there
# are no kernels, and tensor operations take their place. SDG_CUDA_OPTIMISE=-O1 makes the host's code in less time.
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.11.0
wheel=$PWD/build/cuda-torch
say() { printf '[cuda] %s\n' "$*"; }
die() { printf '[cuda] %s\n' "$*" >&2; exit 1; }

mkdir -p "$wheel"
if [[ ! -e $wheel/torch/lib/libtorch_cuda.so ]]; then
  say "fetching torch $torch_version without its dependencies"
  python3 -m pip download --quiet --no-deps --no-cache-dir "torch==$torch_version" -d "$wheel"
  python3 -m zipfile -e "$wheel"/torch-"$torch_version"-*.whl "$wheel"
  rm "$wheel"/torch-"$torch_version"-*.whl
  [[ -e $wheel/torch/lib/libtorch_cuda.so ]] || die "torch $torch_version for this Python is no CUDA build"
fi
# What libtorch_cuda.so itself is linked with, where it looks for it: beside torch, as on a machine with a GPU.
if [[ ${1:-} == --runtime && ! -d $wheel/nvidia ]]; then
  say "fetching CUDA's libraries"
  mapfile -t needed < <(sed -n 's/^Requires-Dist: \(\(cuda-toolkit\|nvidia-[a-z0-9-]*\)[^;]*\);.*/\1/p' "$wheel"/torch-"$torch_version".dist-info/METADATA)
  python3 -m pip install --quiet --no-cache-dir --target "$wheel" "${needed[@]}"
fi

# clang 18 and newer mangle constrained templates otherwise than the compiler that built the wheel.
cmake --preset cuda -DSDG_TORCH_DIR="$wheel/torch" -DCMAKE_CXX_FLAGS=-fclang-abi-compat=17 \
  ${SDG_CUDA_OPTIMISE:+"-DCMAKE_CXX_FLAGS_RELEASE=$SDG_CUDA_OPTIMISE -DNDEBUG"} >build/cuda-configure.log || {
  cat build/cuda-configure.log
  die "configuring failed"
}
grep -E 'LibTorch|CUDA' build/cuda-configure.log
start=$SECONDS
cmake --build --preset cuda --target sdg sdg_test_gpu sdg_test_model_parity
say "built in $((SECONDS - start)) s: $(du -h build/cuda/sdg | cut -f1) program, $(du -h build/cuda/tests/sdg_test_gpu | cut -f1) GPU tests"

if version=$(build/cuda/sdg --version 2>&1); then
  echo "$version"
  grep -q 'for CUDA 13' <<<"$version" || die "that is no build for CUDA 13"
else
  say "it does not start here, for CUDA's libraries are not here (--runtime fetches them): ${version##*$'\n'}"
fi
