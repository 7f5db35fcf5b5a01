#!/usr/bin/env bash
# Sets the machine up, checks the code's form, builds and runs every test. Exit code 0 means all passed.
#   tools/test.sh            everything
#   tools/test.sh -L parity  further arguments go to ctest
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
tools/lint.sh
cmake --build --preset release
# One thread a test: programs with thread pools of their own slow each other down manyfold.
OMP_NUM_THREADS=1 ctest --preset release -j"$(nproc)" --timeout 600 "$@"
