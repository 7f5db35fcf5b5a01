#!/usr/bin/env bash
# One factor at a time away from the shipped default, on digits, every variant with every seed:
#   which clusters form: NMI with the labels (evaluation only) after 600 steps,
#   how well they guide: distance of drawn images at guidance 1.5 after 1,000 steps.
# All variants begin conditions after a fixed share of the steps (30 %) unless they are about just that, so that they compare.
# What is there already is not trained again. About a minute a run on one quiet core.
#   tools/ablation.sh [OUT [SEEDS]]        default: ablation "0 1 2"
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-ablation} seeds=${2:-0 1 2}
sdg=${SDG:-build/release/sdg}

clusters='default
one view|cluster.views=one
one view, whole batch balanced|cluster.views=one cluster.balance=batch
tap: cls token|cluster.pooling=cls
tap: mean of the patches|cluster.pooling=mean
tap: block 3 of 0 to 4|cluster.depth=3
teacher at t 0.7|cluster.teacher_time=0.7
softmax instead of Sinkhorn|cluster.assign=softmax
K 10|cluster.clusters=10
K 40|cluster.clusters=40
time window 0.5 to 0.95|cluster.window_begin=0.5 cluster.window_end=0.95
queue of 512 rows|cluster.queue=512
gradient into the backbone|cluster.backbone=1
conditions once 90 % agree|condition.stable=0.9 condition.change=0.7'

guidance='default
no condition|condition.source=none
prototypes as tokens unscaled|condition.token=raw
conditions from 10 % of the steps|condition.change=0.1
conditions from 50 % of the steps|condition.change=0.5
k-means again and again|condition.source=recluster'

run_of() { echo "$out/$1-$3/$(tr -cs 'a-zA-Z0-9.\n' '-' <<<"$2")"; } # of (study, variant, seed)

train() { # study, steps, variants
  while IFS='|' read -r name settings; do
    for seed in $seeds; do
      local arguments=(--set condition.stable=0)
      for setting in $settings; do arguments+=(--set "$setting"); done
      "$sdg" train --config digits.yaml --run "$(run_of "$1" "$name" "$seed")" --set seed="$seed" --set train.steps="$2" \
        --set train.picture_every=0 --set train.save_every=100000 "${arguments[@]}" </dev/null
    done
  done <<<"$3"
}

train clusters 600 "$clusters"
train guidance 1000 "$guidance"

echo "NMI of the clusters with the labels, by seed:"
while IFS='|' read -r name _; do
  printf '%s:' "$name"
  for seed in $seeds; do
    nmi=$("$sdg" eval-clusters "$(run_of clusters "$name" "$seed")" --json 2>/dev/null </dev/null | sed -n 's/.*"nmi":\([0-9.]*\).*/\1/p')
    printf ' %.3f' "$nmi"
  done
  echo
done <<<"$clusters"
echo

sweep=()
while IFS='|' read -r name _; do
  runs=
  for seed in $seeds; do runs+="${runs:+,}$(run_of guidance "$name" "$seed")"; done
  sweep+=(--run "$name=$runs")
done <<<"$guidance"
"$sdg" sweep "${sweep[@]}" --guidance 1.5 --count 1000 --out "$out/sweep" </dev/null
