#!/usr/bin/env bash
# Writes what the program says of itself into docs/: config.md (every option of a run), cluster_options.md (of sdg cluster) and cli/*.txt (the help of every command).
# Tests of tests/cli/ compare them with the program, so run this after changing an option or a help text.
#   tools/write_docs.sh [PROGRAM]   default build/release/sdg
set -euo pipefail
cd "$(dirname "$0")/.."
sdg=${1:-build/release/sdg}
mkdir -p docs/cli
rm -f docs/cli/*.txt
"$sdg" config --markdown >docs/config.md
"$sdg" cluster --markdown >docs/cluster_options.md
"$sdg" --help >docs/cli/sdg.txt
# The names stand between "Subcommands:" and the next empty line.
sed -n '/^Subcommands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' docs/cli/sdg.txt | while read -r command; do
  "$sdg" "$command" --help >"docs/cli/$command.txt"
done
