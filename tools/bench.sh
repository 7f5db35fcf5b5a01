#!/usr/bin/env bash
# `sdg bench` and a plain PyTorch step of the same network, in turn, in one run on one machine: the shipped default, whole and with a
# quarter of each batch looked at by clustering; BENCH_LARGE=1: U-ViT-S/2 on latents in float32 and bf16 as well (ten minutes).
#   tools/bench.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
for round in 1 2 3; do
  echo "## Round $round"
  build/release/sdg bench --rounds "${1:-20}"
  echo
  build/release/sdg bench --steps --rounds "${1:-20}" --set cluster.refresh=0.25
  .venv/bin/python tools/bench_pytorch.py --rounds "${1:-20}"
  echo
done
[[ -n "${BENCH_LARGE:-}" ]] || exit 0
large=(--set model.dim=512 --set model.depth=13 --set model.heads=8 --set model.patch=2 --set data.size=32 --set data.channels=4
  --set train.batch=16 --set train.shard=8)
for precision in bf16 float32; do
  echo "## U-ViT-S/2, $precision"
  build/release/sdg bench --steps --rounds 2 "${large[@]}" --set train.precision=$precision
  flags=(--size 32 --channels 4 --dim 512 --depth 13 --heads 8 --batch 16 --rounds 2)
  [[ $precision == float32 ]] || flags+=(--bf16)
  .venv/bin/python tools/bench_pytorch.py "${flags[@]}"
  echo
done
