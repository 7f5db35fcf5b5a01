#!/usr/bin/env bash
# Builds everything with the address and undefined-behaviour sanitizers (build/sanitize) and runs the tests, all but those with the label
# slow, the cases of a program in one process: under the sanitizers a start costs a second, and there are 1,500 cases.
#   tools/sanitize.sh [CTEST ARGUMENTS]        e.g. -R '^io\.'
#   SDG_SLOW=1 tools/sanitize.sh               the slow ones, too
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset sanitize >/dev/null
cmake --build --preset sanitize
# Leaks: LibTorch keeps what it made once until the program ends. What is ours would be seen as growth, which tests look for elsewhere.
# alloc_dealloc_mismatch: libtorch brings its own operator new. Both options concern LibTorch alone.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:alloc_dealloc_mismatch=0:strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
symbolizer=$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer || true)
export ASAN_SYMBOLIZER_PATH=$symbolizer OMP_NUM_THREADS=1
slow=(-LE slow)
[[ -n "${SDG_SLOW:-}" ]] && slow=()
ctest --preset sanitize --show-only=json-v1 "${slow[@]}" "$@" >build/sanitize/cases.json
tools/run_programs.py build/sanitize/cases.json
