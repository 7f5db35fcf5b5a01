#!/usr/bin/env bash
# The main job on the shipped default, from nothing: sets the machine up, trains on digits, draws, measures.
# Some minutes on two CPU cores. Arguments go to `sdg train`, e.g. tools/demo.sh --set train.steps=500
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS
tools/setup.sh
run=runs/demo
build/release/sdg train --config digits.yaml --run "$run" "$@"
build/release/sdg sample --run "$run" --steps 25 --guidance 1.5 --count 100 --out "$run/samples" --overwrite
echo
echo "Does guidance by the network's own clusters help? FD-digits (lower is better) at four strengths:"
for guidance in 0 1.0 1.5 2.0; do
  build/release/sdg eval-fid --run "$run" --guidance "$guidance" 2>/dev/null
done
build/release/sdg eval-clusters --run "$run" 2>/dev/null
echo
echo "Look at $run/samples-grid.png (drawn digits) and $run/pictures/ (how they and the clusters came to be)."
echo "Done in $((SECONDS - start)) s."
