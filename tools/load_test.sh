#!/usr/bin/env bash
# Loads a network of the size of DiT-XL/2 (675 million parameters, 2.7 GB, random values): tools/load_test.sh [folder]
# Writes the public file with Python, converts it, loads it, prints times and peak memory against the file's size. Needs 6 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
sdg=${SDG:-build/release/sdg}
folder=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/sdg_load.XXXXXX")
trap 'rm -rf "$folder"' EXIT
.venv/bin/python - "$folder/xl.pt" <<'PY'
import sys
import torch

D, depth, patch, channels = 1152, 28, 2, 4
shapes = {
    "pos_embed": (1, 256, D), "x_embedder.proj.weight": (D, channels, patch, patch), "x_embedder.proj.bias": (D,),
    "t_embedder.mlp.0.weight": (D, 256), "t_embedder.mlp.0.bias": (D,), "t_embedder.mlp.2.weight": (D, D), "t_embedder.mlp.2.bias": (D,),
    "y_embedder.embedding_table.weight": (1001, D),
    "final_layer.linear.weight": (patch * patch * 2 * channels, D), "final_layer.linear.bias": (patch * patch * 2 * channels,),
    "final_layer.adaLN_modulation.1.weight": (2 * D, D), "final_layer.adaLN_modulation.1.bias": (2 * D,),
}
for i in range(depth):
    for name, rows, columns in (("attn.qkv", 3 * D, D), ("attn.proj", D, D), ("mlp.fc1", 4 * D, D), ("mlp.fc2", D, 4 * D), ("adaLN_modulation.1", 6 * D, D)):
        shapes[f"blocks.{i}.{name}.weight"] = (rows, columns)
        shapes[f"blocks.{i}.{name}.bias"] = (rows,)
state = {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}
print(f"{len(state)} tensors, {sum(t.numel() for t in state.values())} parameters")
torch.save(state, sys.argv[1])
PY
measure() {
  echo "$ sdg $*"
  /usr/bin/env time -f "  %e s in all, peak memory %M kB" "$sdg" "$@"
}
command -v time >/dev/null || [ -x /usr/bin/time ] || measure() { echo "$ sdg $*"; "$sdg" "$@"; }
measure inspect "$folder/xl.pt" --as sit | tail -2
measure convert "$folder/xl.pt" "$folder/xl.safetensors" --as sit
measure bench --load "$folder/xl.safetensors"
measure convert "$folder/xl.safetensors" "$folder/back.pt" --to public
