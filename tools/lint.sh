#!/usr/bin/env bash
# Fails where a file is not formatted or clang-tidy finds fault. Formatting is checked everywhere; clang-tidy, which takes most of a minute
# a file because of LibTorch's headers, looks at the sources changed since the commit before (or since SDG_TIDY_BASE), or all with --all.
#   tools/lint.sh --fix   formats instead of complaining
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files -- 'include/*.h' 'src/*.h' 'src/*.cpp' 'tests/*.h' 'tests/*.cpp')
if [[ "${1:-}" == --fix ]]; then
  clang-format-19 -i "${files[@]}"
  exit 0
fi
clang-format-19 --dry-run --Werror "${files[@]}" || { echo "lint: run tools/lint.sh --fix" >&2; exit 1; }

if [[ "${1:-}" == --all ]]; then
  mapfile -t sources < <(git ls-files -- 'src/*.cpp')
else
  base=${SDG_TIDY_BASE:-HEAD~1}
  limit=8 # keeps CI short after a large change; --all has no limit
  mapfile -t sources < <(git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 2>/dev/null | head -n "$limit")
fi
((${#sources[@]})) || exit 0
[[ -f build/release/compile_commands.json ]] || cmake --preset release >/dev/null
echo "lint: clang-tidy on ${#sources[@]} file(s)"
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy-19 --quiet -p build/release
