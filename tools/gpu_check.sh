#!/usr/bin/env bash
# Everything that needs a GPU, in one folder that is carried there and run.
#   tools/gpu_check.sh [FOLDER]     packs what tools/build_cuda.sh built (default build/gpu-check), below 60 MB
#   FOLDER/gpu_check.sh             there: a machine with an NVIDIA GPU, torch 2.11.0+cu130 for python3, x86-64, glibc 2.36 or newer;
#                                   no network, 8 minutes. Writes out/table.txt and out/results.json; OUT=DIR elsewhere
# Parts come in the order of their weight, each with a time limit of its own, so that a hang costs one part. The exit status is that of
# the worst part. Without a GPU it says so and fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

pack() {
  cd "$here/.." || exit 1
  local folder=${1:-build/gpu-check} build=build/cuda file
  local tests=("$build"/tests/sdg_test_{gpu,model_parity})
  for file in "$build/sdg" "${tests[@]}"; do
    [[ -e $file ]] || { echo "[gpu-check] $file is missing: run tools/build_cuda.sh first" >&2; exit 1; }
  done
  rm -rf "$folder" && mkdir -p "$folder"/{bin,lib,data}
  mkdir "$folder/fixtures"
  cp tests/fixtures/{uvit,dit,sit,adm_unet,sg_unet}*.safetensors "$folder/fixtures/"
  cp "$build/sdg" "${tests[@]}" "$folder/bin/" && strip "$folder"/bin/*
  cp -r configs tools/gpu_check.sh tools/gpu_check_table.py tools/bench_pytorch.py "$folder/"
  # Debian's libraries go beside the program; LibTorch, CUDA and the C library are the machine's.
  ldd "$folder"/bin/* | awk '$3 ~ /^\// {print $3}' |
    grep -vE '/(libtorch|libc10|libgomp|libcu|libnv|libnccl|libcap|libc\.so|libm\.so|libdl|libpthread|librt|libutil|ld-linux|libgcc_s|libstdc)' |
    sort -u | xargs -I{} cp -L {} "$folder/lib/"
  # libarchive brings ICU for a format that nobody here reads: 30 MB of tables, in whose place an empty one does.
  for file in "$folder"/lib/libicudata.so.*; do
    [[ -e $file ]] || continue
    echo "const long long icudt${file##*.}_dat[4] = {0};" | cc -shared -x c - -o "$file" -Wl,-soname,"${file##*/}" || exit 1
  done
  # 800 photographs of each class, and the classifier in whose features distances are taken, where they are at hand.
  local shared=../shared
  if [[ -e $shared/data/cifar10-train.tar ]]; then
    python3 - "$shared/data/cifar10-train.tar" "$folder/data/cifar10-part.tar" 800 <<'P'
import collections, sys, tarfile
seen = collections.Counter()
with tarfile.open(sys.argv[1]) as source, tarfile.open(sys.argv[2], "w") as part:
    for member in source:
        if member.isfile() and seen[member.name.rsplit("/", 1)[0]] < int(sys.argv[3]):
            seen[member.name.rsplit("/", 1)[0]] += 1
            part.addfile(member, source.extractfile(member))
P
    cp "$shared"/weights/cifar10_resnet56.safetensors "$folder/data/"
  else
    echo "[gpu-check] no CIFAR-10 at hand: that part will be left out"
  fi
  local kilobytes
  kilobytes=$(du -sk "$folder" | cut -f1)
  echo "[gpu-check] $folder: $((kilobytes / 1024)) MB; there: gpu_check.sh"
  ((kilobytes < 60 * 1024)) || { echo "[gpu-check] that is more than 60 MB" >&2; exit 1; }
}

[[ -e $here/bin/sdg ]] || { pack "$@"; exit; }

out=${OUT:-$here/out}
mkdir -p "$out"
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
begin=$SECONDS limit=${LIMIT:-460} worst=0
: >"$out/parts.tsv"
site=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>"$out/python.log") || {
  echo "gpu_check: python3 has no torch: $(tail -1 "$out/python.log")" >&2
  exit 1
}
export LD_LIBRARY_PATH="$site/lib:$(find "$(dirname "$site")"/nvidia -type d -name lib 2>/dev/null | paste -sd:):$here/lib:${LD_LIBRARY_PATH:-}"
export SDG_WEIGHTS=$here/data
sdg=$here/bin/sdg

# part SECONDS NAME COMMAND...: its output in out/NAME.log, a line of what came of it; parts past the whole time are left out.
part() {
  local seconds=$1 name=$2 start=$SECONDS result left=$((limit - (SECONDS - begin)))
  shift 2
  ((seconds < left)) || seconds=$left
  if ((seconds < 5)); then
    printf '%s\tleft out\t0\n' "$name" | tee -a "$out/parts.tsv"
    return 1
  fi
  timeout -k 5 "$seconds" "$@" >"$out/$name.log" 2>&1 </dev/null
  result=$?
  ((result <= worst)) || worst=$result
  printf '%s\t%s\t%s\n' "$name" "$( ((result == 124 || result == 137)) && echo "over its $seconds s" || echo "exit $result")" \
    $((SECONDS - start)) | tee -a "$out/parts.tsv"
  return "$result"
}

part 60 version "$sdg" --version || { tail -3 "$out/version.log" >&2; exit 1; }
if ! grep -q 'for CUDA' "$out/version.log" || grep -q 'no CUDA' "$out/version.log"; then
  cat "$out/version.log" >&2
  echo "gpu_check: there is no CUDA device here, so nothing can be checked" >&2
  exit 1
fi
{ nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true; } >"$out/card.txt" 2>/dev/null

# 1. Does it compute what the CPU computes, and without waiting?
part 120 equality "$here/bin/sdg_test_gpu" --gtest_output="json:$out/equality.json"
SDG_TEST_DEVICE=cuda SDG_FIXTURES=$here/fixtures part 60 parity "$here/bin/sdg_test_model_parity" --gtest_filter='UViT*:DiT*:SiT*:AdmUNet*:SgUNet*' \
  --gtest_output="json:$out/parity.json"
digits=(--config "$here/configs/digits.yaml" --set train.picture_every=0 --set train.log_every=1 --set train.steps=20)
for device in cpu cuda; do part 40 "digits20-$device" "$sdg" train "${digits[@]}" --run "$run/$device" --set "device=$device"; done
# Two processes that share the device: each adds up its own images, and their gradients go while the pass still fills them.
part 60 digits20-ranks env CUDA_VISIBLE_DEVICES=0 "$sdg" launch -n 2 train "${digits[@]}" --run "$run/ranks" --set device=cuda --exchange gloo
cp "$run/ranks/metrics.jsonl" "$out/digits20-ranks.jsonl" 2>/dev/null
cp "$run/cpu/metrics.jsonl" "$out/digits20-cpu.jsonl" 2>/dev/null
cp "$run/cuda/metrics.jsonl" "$out/digits20-cuda.jsonl" 2>/dev/null

# 2. How fast is a step? Plain PyTorch, eager and compiled, beside it.
latents=(--set data.size=32 --set data.channels=4 --set cluster.pooling=mean --set cluster.queue=0 --set device=cuda)
# Passes of training and the sampler's step, called each time and from CUDA graphs.
for graph in none cuda; do
  part 40 "bench-digits-graph-$graph" "$sdg" bench --config "$here/configs/digits.yaml" --set device=cuda --set "train.graph=$graph" \
    --set "sample.graph=$graph" --rounds 10
done
for way in bf16 bf16-graph tf32 float32; do
  graph=none
  [[ $way == *-graph ]] && graph=cuda
  for model in uvit-L/2 dit-XL/2; do
    part 45 "bench-${model%/*}-$way" "$sdg" bench --config "$here/configs/digits.yaml" "${latents[@]}" --rounds 5 \
      --set "model.name=$model" --set train.batch=128 --set "train.precision=${way%-graph}" --set "train.graph=$graph"
  done
done
for kind in "" --compile; do
  part 60 "pytorch-uvit-L-bf16${kind/--/-}" python3 "$here/bench_pytorch.py" --device cuda --bf16 $kind --size 32 --channels 4 --dim 1024 \
    --depth 21 --heads 16 --batch 128 --rounds 10
done

# 3. Sampler and evaluation.
part 60 digits "$sdg" train --config "$here/configs/digits.yaml" --run "$run/d" --set device=cuda --set train.steps=600 &&
  part 40 eval "$sdg" eval-fid --run "$run/d" --guidance 1.5 --device cuda &&
  part 30 sample "$sdg" sample --run "$run/d" --count 2048 --steps 25 --guidance 2.0 --device cuda --npz "$run/s.npz" &&
  part 30 sample-graph "$sdg" sample --run "$run/d" --count 2048 --steps 25 --guidance 2.0 --device cuda --graph cuda --npz "$run/g.npz"

# 4. CIFAR-10 with what time is left: none, label, online.
if [[ -e $here/data/cifar10-part.tar ]]; then
  for source in online none label; do
    left=$((limit - (SECONDS - begin)))
    part $((left / 2)) "cifar-$source" "$sdg" train --config "$here/configs/cifar10.yaml" --run "$run/c-$source" --set device=cuda \
      --set "data.path=$here/data/cifar10-part.tar" --set "condition.source=$source" --set train.steps=1500 --set train.picture_every=0 \
      --set train.precision=bf16 &&
      part 40 "cifar-$source-eval" "$sdg" eval-fid --run "$run/c-$source" --count 2000 --device cuda
  done
fi

python3 "$here/gpu_check_table.py" "$out" | tee "$out/table.txt"
exit "$worst"
