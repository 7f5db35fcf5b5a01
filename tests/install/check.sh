#!/usr/bin/env bash
# check.sh BUILD COMPILER: installs the build into a temporary folder and builds a stranger's project against it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$2" -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/build"
"$work/build/stranger"
(cd "$work" && "$work/prefix/bin/sdg" config digits.yaml >"$work/config" && grep -q 'path: digits.safetensors' "$work/config")
