#!/usr/bin/env bash
# check.sh BUILD COMPILER: installs the build into a temporary folder, builds docs/tutorial against it as a stranger would, and runs its programs for a few steps.
set -euo pipefail
tutorial=$(cd "$(dirname "$0")/../../docs/tutorial" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cp -r "$tutorial" "$work/tutorial" # away from the repository: nothing beside it may be needed
cmake -S "$work/tutorial" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$2" -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/build" -j1
cd "$work"
"$work/prefix/bin/sdg" config digits.yaml >config && grep -q 'path: digits.safetensors' config

fail() { echo "check.sh: $*" >&2; exit 1; }
build/train_digits run 60
[[ -s run/checkpoints/last.safetensors ]] || fail "train_digits wrote no checkpoint"
build/train_digits run 60 | grep -q 'at step 60' || fail "train_digits does not see that the run is finished"
build/sample run digits.png 2.0
[[ $(head -c4 digits.png | tail -c3) == PNG ]] || fail "sample wrote no picture"
build/cluster_features | tee clusters
# Five centres far apart are found by both ways.
grep -qE '^labels and k-means +NMI (0\.9|1\.0)' clusters || fail "k-means does not find the planted clusters"
grep -qE '^labels and prototypes +NMI (0\.9|1\.0)' clusters || fail "prototypes do not find the planted clusters"
if build/sample nowhere digits.png 2>refusal; then fail "sample draws from a run that is not there"; fi
grep -q nowhere refusal || fail "the refusal does not say where it looked"
