#!/usr/bin/env bash
# `sdg bench` on the shipped default and a plain PyTorch step of the same network, in turn, in one run on one machine.
set -euo pipefail
cd "$(dirname "$0")/.."
for round in 1 2 3; do
  echo "## Round $round"
  build/release/sdg bench --rounds "${1:-20}"
  .venv/bin/python tools/bench_pytorch.py --rounds "${1:-20}"
  echo
done
