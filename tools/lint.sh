#!/usr/bin/env bash
# Fails where a file is not formatted. clang-tidy takes most of a minute a file because of LibTorch's headers, so it runs only when asked:
#   tools/lint.sh --all                   clang-tidy on every source
#   SDG_TIDY_BASE=COMMIT tools/lint.sh    on the sources changed since COMMIT
#   tools/lint.sh --fix   formats instead of complaining
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files -- 'include/*.h' 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp' 'docs/tutorial/*.cpp')
if [[ "${1:-}" == --fix ]]; then
  clang-format-19 -i "${files[@]}"
  exit 0
fi
clang-format-19 --dry-run --Werror "${files[@]}" || { echo "lint: run tools/lint.sh --fix" >&2; exit 1; }

if [[ "${1:-}" == --all ]]; then
  mapfile -t sources < <(git ls-files -- 'src/*.cpp')
elif [[ -n "${SDG_TIDY_BASE:-}" ]]; then
  mapfile -t sources < <(git diff --name-only --diff-filter=d "$SDG_TIDY_BASE" -- 'src/*.cpp')
else
  sources=()
fi
((${#sources[@]})) || exit 0
[[ -f build/release/compile_commands.json ]] || cmake --preset release >/dev/null
echo "lint: clang-tidy on ${#sources[@]} file(s)"
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy-19 --quiet -p build/release
