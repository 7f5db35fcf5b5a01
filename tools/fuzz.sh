#!/usr/bin/env bash
# Fuzzes every file reader for SECONDS each (default 60): tools/fuzz.sh [seconds] [reader...]
# What is found lies in build/fuzz/found; new inputs are kept in build/fuzz/corpus beside the ones in tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
readers=("${@:2}")
[ ${#readers[@]} -gt 0 ] || readers=(safetensors weights npz tar image yaml)
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target "${readers[@]/#/fuzz_}"
mkdir -p build/fuzz/found
failed=0
for reader in "${readers[@]}"; do
  mkdir -p "build/fuzz/corpus/$reader"
  if "build/fuzz/tests/fuzz/fuzz_$reader" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=16384 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/found/$reader-" "build/fuzz/corpus/$reader" "tests/fuzz/corpus/$reader" >"build/fuzz/$reader.log" 2>&1; then
    echo "$reader: $(grep -o 'number_of_executed_units: .*' "build/fuzz/$reader.log" | tr -s ' '), $(grep -o 'cov: [0-9]*' "build/fuzz/$reader.log" | tail -1), nothing found"
  else
    echo "$reader: FAILED, see build/fuzz/$reader.log"
    failed=1
  fi
done
exit $failed
