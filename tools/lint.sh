#!/usr/bin/env bash
# Fails where a file is not formatted, or clang-tidy finds something. clang-tidy reads LibTorch's headers for minutes, so it runs only when asked:
#   SDG_TIDY_BASE=COMMIT tools/lint.sh    on the sources changed since COMMIT and those that include a header changed since
#   tools/lint.sh --all                   on every source (tools/tidy.py)
#   tools/lint.sh --fix                   formats instead of complaining
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files -- 'include/*.h' 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp' 'docs/tutorial/*.cpp')
if [[ "${1:-}" == --fix ]]; then
  clang-format-19 -i "${files[@]}"
  exit 0
fi
clang-format-19 --dry-run --Werror "${files[@]}" || { echo "lint: run tools/lint.sh --fix" >&2; exit 1; }

since=()
[[ -z "${SDG_TIDY_BASE:-}" ]] || since=(--since "$SDG_TIDY_BASE")
if [[ "${1:-}" == --all ]] || ((${#since[@]})); then
  [[ -f build/release/compile_commands.json ]] || cmake --preset release >/dev/null
  python3 tools/tidy.py "${since[@]}"
fi
