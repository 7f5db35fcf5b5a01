#!/usr/bin/env bash
# One factor at a time away from the shipped default, on digits: trains every variant with every seed, prints the distance of drawn images and
# the agreement of the clusters with labels (evaluation only). What is there already is not trained again.
#   tools/ablation.sh [OUT [SEEDS [STEPS]]]        default: ablation "0 1 2" 600; about a minute and a half a run on one core
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-ablation} seeds=${2:-0 1 2} steps=${3:-600}
sdg=${SDG:-build/release/sdg}

variants='default
one view, balanced in the window|cluster.views=one
one view, whole batch balanced|cluster.views=one cluster.balance=batch
tap: cls token|cluster.pooling=cls
tap: mean of the patches|cluster.pooling=mean
tap: block 1 of 0 to 4|cluster.depth=1
tap: block 3 of 0 to 4|cluster.depth=3
teacher at t 0.7|cluster.teacher_time=0.7
prototypes as tokens unscaled|condition.token=raw
conditions from 10 % of the steps|condition.change=0.1
conditions from 50 % of the steps|condition.change=0.5
conditions once 90 % agree|condition.stable=0.9 condition.change=0.7
k-means again and again|condition.source=recluster
softmax instead of Sinkhorn|cluster.assign=softmax
K 10|cluster.clusters=10
K 40|cluster.clusters=40
queue of 512 rows|cluster.queue=512
gradient into the backbone|cluster.backbone=1
no condition|condition.source=none'

sweep=()
while IFS='|' read -r name settings; do
  runs=
  for seed in $seeds; do
    run="$out/$(tr -cs 'a-zA-Z0-9.\n' '-' <<<"$name")-$seed"
    arguments=()
    for setting in $settings; do arguments+=(--set "$setting"); done
    "$sdg" train --config digits.yaml --run "$run" --set seed="$seed" --set train.steps="$steps" --set train.picture_every=0 \
      --set train.save_every=100000 "${arguments[@]}" </dev/null
    runs+="${runs:+,}$run"
  done
  sweep+=(--run "$name=$runs")
done <<<"$variants"

"$sdg" sweep "${sweep[@]}" --guidance 1.5 --count 1000 --out "$out/sweep" </dev/null
echo
echo "NMI of the clusters with the labels, by seed:"
while IFS='|' read -r name _; do
  printf '%s:' "$name"
  for seed in $seeds; do
    run="$out/$(tr -cs 'a-zA-Z0-9.\n' '-' <<<"$name")-$seed"
    nmi=$("$sdg" eval-clusters --run "$run" --json 2>/dev/null </dev/null | sed -n 's/.*"nmi":\([0-9.]*\).*/\1/p' || true)
    printf ' %.3f' "${nmi:-nan}"
  done
  echo
done <<<"$variants"
