#!/usr/bin/env bash
# The protocol cards (docs/evaluation.md) of the tables in docs/results.md that were measured by `sdg sweep`: a card says how a distance
# is taken, not of which weights, so runs of a few steps with the tables' configurations have the tables' cards. Prints
# Markdown rows. Their distances mean nothing and are not shown.
#   tools/result_cards.sh OUT [CIFAR10-TRAIN.tar CIFAR10-RESNET56.safetensors]
set -euo pipefail
cd "$(dirname "$0")/.."
sdg=${SDG:-build/release/sdg} out=$1 tar=${2:-} weights=${3:-}

train() { # NAME CONFIG OPTIONS...
  [[ -d $out/$1 ]] || "$sdg" train --config "$2" --run "$out/$1" --set device=cpu --set train.steps=4 --set train.warmup=1 --set train.picture_every=0 \
    --set condition.stable=0 --set condition.change=0.5 "${@:3}" >/dev/null 2>&1 </dev/null
}
card() { # LABEL RUN OPTIONS...
  local id
  id=$("$sdg" eval --run "$out/$2" --device cpu --json "${@:3}" 2>/dev/null </dev/null | sed -n 's/.*"protocol_id":"\([0-9a-f]*\)".*/\1/p')
  echo "| $1 | \`$id\` |"
}
sources() { # PREFIX CONFIG COUNT-OPTIONS -- OPTIONS OF TRAINING
  local prefix=$1 config=$2 count=() w
  shift 2
  while [[ $1 != -- ]]; do count+=("$1"); shift; done
  shift
  for source in none label online; do train "$prefix$source" "$config" --set condition.source=$source "$@"; done
  train "${prefix}kmeans" "$config" --set condition.source=kmeans --set condition.run="$out/${prefix}none" "$@"
  card "none" "${prefix}none" --guidance 1 "${count[@]}"
  for source in label kmeans online; do
    for w in 1 1.5 2 3; do card "$source, guidance $w" "$prefix$source" --guidance $w "${count[@]}"; done
  done
}

mkdir -p "$out"
echo "digits, 1,500 images:"
sources "" digits.yaml --count 1500 --
echo "digits, guidance 1.5, 1,000 images (what each part does):"
for source in online none kmeans; do
  guidance=1.5
  [[ $source != none ]] || guidance=1
  card "$source" $source --guidance $guidance --count 1000
done
echo "digits, unconditional, 500 images, over solver steps:"
for grid in uniform own; do
  for steps in 5 10 25 50 100; do card "$grid, $steps steps" none --grid $grid --steps $steps --count 500; done
done
[[ -n $tar ]] || exit 0
echo "CIFAR-10 at 32x32, 500 images against 2,000:"
train c32 cifar10.yaml --set data.path="$tar" --set train.batch=64
for w in 1 1.5; do card "guidance $w" c32 --guidance $w --count 500 --reference-count 2000 --extractor-weights "$weights"; done
