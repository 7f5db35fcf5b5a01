#!/usr/bin/env bash
# Runs the parity tests and writes docs/parity.md from what they logged: one row per fixture.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
SDG_PARITY_LOG="$log" OMP_NUM_THREADS=1 ctest --preset release -L parity --timeout 600
python3 - "$log" > docs/parity.md <<'PY'
import json, os, sys
rows = {}
for line in open(sys.argv[1]):
    entry = json.loads(line)
    row = rows.setdefault(entry["fixture"], dict(outputs=0, elements=0, max_abs=0.0, max_rel=0.0, atol=0.0, share=0.0))
    row["outputs"] += 1
    row["elements"] += entry["elements"]
    for key in ("max_abs", "max_rel"):
        row[key] = max(row[key], entry[key] or 0.0)
    row["atol"] = max(row["atol"], entry["atol"])
print("# Parity with the public implementations\n")
print("Written by `tools/parity.sh` from what the parity tests (ctest label `parity`) compared: stored weights, inputs and outputs of public code.")
print("Every output is held to its own tolerance; the table shows the largest of each fixture. Those marked + lie beside the repository")
print("(`../shared/fixtures`), the others in [tests/fixtures](../tests/fixtures/README.md), which says where each comes from.\n")
print("| fixture | outputs | elements | largest absolute error | largest relative error | largest atol |\n| --- | ---: | ---: | ---: | ---: | ---: |")
for name, row in sorted(rows.items()):
    mark = "" if os.path.exists(f"tests/fixtures/{name}.safetensors") else " +"
    print(f"| {name}{mark} | {row['outputs']} | {row['elements']} | {row['max_abs']:.2e} | {row['max_rel']:.2e} | {row['atol']:.2e} |")
PY
