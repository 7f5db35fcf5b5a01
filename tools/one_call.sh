#!/usr/bin/env bash
# Guidance at one call against classifier-free guidance at two: networks trained alike but for what they learn of guidance; every
# strength with every seed. From the environment: CONFIG (digits.yaml), SOURCES ("online label": where conditions come from), WAYS
# ("plain gft inner mg"; inner for networks of tokens only), BATCH (images a step; CONFIG's), COUNT (1500: images that are measured), CALLS (6: steps of UniPC), GUIDANCE
# ("1,1.5,2,3": strengths at two calls).
# What is there already is neither trained nor measured again. Tables: docs/beyond.md, "Guidance at one call".
#   tools/one_call.sh [OUT [SEEDS [STEPS]]]        default: one_call "0 1 2", and as many steps as CONFIG says
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-one_call} seeds=${2:-0 1 2}
length=(${3:+--set train.steps=$3} ${BATCH:+--set train.batch=$BATCH})
sdg=${SDG:-build/release/sdg}
config=${CONFIG:-digits.yaml} strengths=${GUIDANCE:-1,1.5,2,3}
walk=(--solver unipc --steps "${CALLS:-6}")

ways='plain|
gft|guided.learn=gft
inner|guided.inner=2
mg|guided.learn=mg'

has() { [[ " ${WAYS:-plain gft inner mg} " == *" $1 "* ]]; }

train() { # source, way, settings
  for seed in $seeds; do
    local arguments=()
    for setting in $3; do arguments+=(--set "$setting"); done
    "$sdg" train --config "$config" --run "$out/$1-$2-$seed" --set seed="$seed" "${length[@]}" \
      --set condition.source="$1" --set train.picture_every=0 --set train.save_every=100000 "${arguments[@]}" </dev/null
  done
}

sweep() { # source, way, name, options of drawing …
  local runs= source=$1 way=$2 name=$3
  shift 3
  for seed in $seeds; do runs+="${runs:+,}$out/$source-$way-$seed"; done
  "$sdg" sweep --run "$name=$runs" "${walk[@]}" --count "${COUNT:-1500}" "$@" --out "$out/sweep-$source-$name" </dev/null
}

seconds() { # source, way, options of drawing …
  local run=$out/$1-$2-${seeds%% *}
  shift 2
  "$sdg" sample --run "$run" "${walk[@]}" --count "${COUNT:-1500}" "$@" --npz "$out/drawn.npz" --json 2>/dev/null </dev/null |
    python3 -c 'import json, sys; o = json.load(sys.stdin); print(round(o["seconds"], 2), "s,", o["network_calls_per_image"], "calls an image")'
  rm -f "$out/drawn.npz"
}

for source in ${SOURCES:-online label}; do
  while IFS='|' read -r way settings; do ! has "$way" || train "$source" "$way" "$settings"; done <<<"$ways"
  ! has plain || sweep "$source" plain two-calls --guidance "$strengths"
  ! has gft || sweep "$source" gft gft --guide input --guidance 1,1.5,2,3
  ! has gft || sweep "$source" gft gft-two-calls --guidance 1.5,2
  ! has inner || sweep "$source" inner inner --guidance 1 --inner-guidance 1,1.2,1.5,2
  ! has inner || sweep "$source" inner inner-and-two-calls --guidance 1.5 --inner-guidance 1,1.2
  ! has mg || sweep "$source" mg mg --guidance 1
  for _ in 1 2 3; do
    ! has plain || echo "two calls: $(seconds "$source" plain --guidance 1.5)"
    ! has inner || echo "inner: $(seconds "$source" inner --guidance 1 --inner-guidance 1.5)"
    ! has gft || echo "gft: $(seconds "$source" gft --guide input --guidance 1.5)"
    ! has mg || echo "mg: $(seconds "$source" mg --guidance 1)"
  done
done
