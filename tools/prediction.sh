#!/usr/bin/env bash
# What the network predicts, and where the loss lies: the velocity beside the data with the loss on the velocity, the same network,
# draws and steps, unconditional, every seed. Prints smoothed losses, seconds of training, then the distances of drawn images.
#   tools/prediction.sh mnist   mnist5k.safetensors [OUT [SEEDS [STEPS]]]     28x28, width 128, patch 7; FD-digits of images shrunk to 8x8
#   tools/prediction.sh cifar10 cifar10-train.tar   [OUT [SEEDS [STEPS]]]     at 16x16, width 64, patch 4; FD-cifar-resnet56
# Default: OUT prediction, SEEDS "0 1 2", STEPS 500. One or two minutes of a core a run. RUN, where set, is put before each training
# (RUN="nice -n 15"). What is there already is not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
set_name=$1 data=$(realpath "$2") out=${3:-prediction} seeds=${4:-0 1 2} steps=${5:-500}
sdg=${SDG:-build/release/sdg} python=${PYTHON:-.venv/bin/python}
case $set_name in
  mnist) shape=(data.size=28 data.channels=1 data.flip=false model.dim=128 model.patch=7) extractor=digits ;;
  cifar10) shape=(data.size=16 data.channels=3 data.flip=true model.dim=64 model.patch=4) extractor=cifar-resnet56 ;;
  *) echo "$0: expected mnist or cifar10, got $set_name" >&2; exit 2 ;;
esac
variants='velocity|model.prediction=velocity
data, loss on the velocity|model.prediction=data train.loss_on=velocity'
run_of() { echo "$out/$set_name-$2/$(tr -cs 'a-z0-9\n' '-' <<<"$1")"; } # of (variant, seed)
shown=$(printf '%s\n' 100 200 300 "$steps" | awk -v last="$steps" '$1 <= last && !seen[$1]++' | xargs)

mkdir -p "$out"
echo "| $set_name, predicted | seed | ${shown// / | } | s |"
echo "| --- | ---: |$(for _ in $shown; do printf ' ---: |'; done) ---: |"
while IFS='|' read -r name settings; do
  for seed in $seeds; do
    run=$(run_of "$name" "$seed") arguments=()
    for setting in "${shape[@]}" $settings; do arguments+=(--set "$setting"); done
    [[ $steps -lt 100 ]] && arguments+=(--set "train.warmup=$((steps / 5))")
    ${RUN:-} "$sdg" train --config ${CONFIG:-digits.yaml} --run "$run" --set data.path="$data" --set model.depth=5 --set condition.source=none \
      --set seed="$seed" --set train.steps="$steps" --set train.picture_every=0 --set train.log_every=100 --set train.save_every=100000 \
      --set eval.extractor=$extractor "${arguments[@]}" </dev/null >>"$out/log.txt" 2>&1
    "$python" - "$name" "$seed" "$run/metrics.jsonl" $shown <<'PY'
import json, sys
lines = [line for line in map(json.loads, open(sys.argv[3])) if "smooth_loss" in line]
rows = {line["step"]: line["smooth_loss"] for line in lines}
speed = [line["images_per_second"] for line in lines if "images_per_second" in line]
seconds = f"{128 * lines[-1]['step'] * sum(1 / each for each in speed) / len(speed):.0f}" if speed else "-"
print(f"| {sys.argv[1]} | {sys.argv[2]} | " + " | ".join(f"{rows[int(s)]:.3f}" for s in dict.fromkeys(sys.argv[4:])) + f" | {seconds} |")
PY
  done
done <<<"$variants"
echo

sweep=()
while IFS='|' read -r name _; do
  runs=
  for seed in $seeds; do runs+="${runs:+,}$(run_of "$name" "$seed")"; done
  sweep+=(--run "$name=$runs")
done <<<"$variants"
${RUN:-} "$sdg" sweep "${sweep[@]}" --count "${COUNT:-1500}" --out "$out/sweep-$set_name" </dev/null
