#!/usr/bin/env bash
# What initial values are worth: smoothed training loss after 100, 200, 300 and all steps of the small backbones, begun as in
# their public code and by fan-in (model.init), beside plain PyTorch twins. Unconditional, batch 128, every row with every seed.
#   tools/initial_values.sh DATA.safetensors [OUT [SEEDS [STEPS [FAMILIES]]]]     default: initial_values "0 1 2" 600 "uvit dit sit adm"
# A minute or two of one core a row and seed, at 28x28 half an hour for adm (3x3 convolutions at full size): give that one 8x8 digits.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(realpath "$1") out=${2:-initial_values} seeds=${3:-0 1 2} steps=${4:-600} families=${5:-uvit dit sit adm}
sdg=${SDG:-build/release/sdg} python=${PYTHON:-.venv/bin/python}
size=$("$python" -c 'import sys, safetensors; print(safetensors.safe_open(sys.argv[1], "pt").get_slice("images").get_shape()[-1])' "$data")
steps_shown=$(printf '%s\n' 100 200 300 "$steps" | awk -v last="$steps" '$1 <= last && !seen[$1]++' | xargs)

row() { # name, seed, run
  "$python" - "$1" "$2" "$3/metrics.jsonl" $steps_shown <<'PY'
import json, sys
rows = {line["step"]: line["smooth_loss"] for line in map(json.loads, open(sys.argv[3])) if "smooth_loss" in line}
print(f"| {sys.argv[1]} | {sys.argv[2]} | " + " | ".join(f"{rows[int(s)]:.3f}" for s in dict.fromkeys(sys.argv[4:])) + " |")
PY
}

echo "| network, initial values | seed | ${steps_shown// / | } |"
echo "| --- | --- |$(for _ in $steps_shown; do printf ' ---: |'; done)"
for family in $families; do
  model=$family-tiny/4 inits=public
  [[ $family == adm ]] && model=adm-tiny
  [[ $family == uvit ]] && inits="public fan_in"
  for init in $inits; do
    for seed in $seeds; do
      run=$out/$family-$init-$seed
      "$sdg" train --config digits.yaml --run "$run" --set data.path="$data" --set data.size="$size" --set model.name="$model" --set model.init="$init" \
        --set condition.source=none --set seed="$seed" --set train.steps="$steps" --set train.picture_every=0 --set train.log_every=100 --set train.save_every=100000 </dev/null >/dev/null 2>&1
      row "$family, $init" "$seed" "$run"
    done
  done
  for seed in $seeds; do "$python" tools/twin_pytorch.py "$data" --net "$family" --seed "$seed" --steps "$steps"; done
done
