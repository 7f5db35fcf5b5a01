#!/usr/bin/env bash
# The main job on the shipped default, from nothing: sets the machine up, trains on digits, draws, measures.
# Some minutes on two CPU cores. Arguments go to `sdg train`, e.g. tools/demo.sh --set train.steps=500
#   tools/demo.sh mnist28.yaml      the same on 28x28 digits: about ten minutes more
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS
config=digits.yaml run=runs/demo strengths="0 1.0 1.5 2.0"
draw=(--steps 25 --guidance 1.5)
if [[ ${1:-} == mnist28.yaml ]]; then
  config=$1 run=runs/mnist28 strengths="0 1.0 1.5 2.0" draw=()
  shift
fi
tools/setup.sh
build/release/sdg train --config "$config" --run "$run" "$@"
build/release/sdg sample --run "$run" "${draw[@]}" --count 100 --out "$run/samples" --overwrite
echo
echo "Does guidance by the network's own clusters help? The Fréchet distance (lower is better) at four strengths:"
for guidance in $strengths; do
  build/release/sdg eval-fid --run "$run" --guidance "$guidance" 2>/dev/null
done
build/release/sdg eval-clusters --run "$run" 2>/dev/null
echo
echo "Look at $run/samples-grid.png (drawn digits) and $run/pictures/ (how they and the clusters came to be)."
echo "Done in $((SECONDS - start)) s."
