#!/usr/bin/env python3
"""Table and JSON of what tools/gpu_check.sh left in its folder of logs: gpu_check_table.py OUT. Shares of peak are of the H100's
data sheet (dense): 989 TFLOP/s in bf16, 495 in tf32, 67 in float32."""
import json
import pathlib
import re
import sys

out = pathlib.Path(sys.argv[1])
PEAK = {"bf16": 989.0, "tf32": 495.0, "float32": 67.0}


def text(name):
    path = out / name
    return path.read_text(errors="replace") if path.exists() else ""


def losses(name):
    rows = [json.loads(line) for line in text(name).splitlines() if line.strip()]
    return [row["loss"] for row in rows if "loss" in row]


results = {"card": text("card.txt").strip(), "version": text("version.log").strip().splitlines(), "parts": [], "steps": []}
for line in text("parts.tsv").splitlines():
    name, end, seconds = line.split("\t")
    results["parts"].append({"part": name, "end": end, "seconds": float(seconds)})

here = losses("digits20-cpu.jsonl")
for way in ("cuda", "ranks"):
    there = losses(f"digits20-{way}.jsonl")
    if here and len(here) == len(there):
        results[f"digits20-{way}"] = {"largest_difference": max(abs(a - b) for a, b in zip(here, there)), "first": here[0], "last": here[-1]}
if text("equality.json"):
    tests = json.loads(text("equality.json"))
    results["equality"] = {key: tests[key] for key in ("tests", "failures", "disabled") if key in tests}

for log in sorted(out.glob("bench-*.log")) + sorted(out.glob("pytorch-*.log")):
    precision = next((p for p in PEAK if log.stem.endswith(p) or f"-{p}-" in log.stem), "float32")
    for line in log.read_text(errors="replace").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 3 or not re.fullmatch(r"[0-9.]+", cells[1]):
            continue
        row = {"part": log.stem, "what": cells[0], "ms": float(cells[1]), "images_per_second": float(cells[2])}
        if len(cells) > 3 and re.fullmatch(r"[0-9.]+", cells[3]):
            row["share_of_h100_peak"] = float(cells[3]) / 1e3 / PEAK[precision]
        results["steps"].append(row)
for log in sorted(out.glob("*eval.log")):
    results.setdefault("distances", {})[log.stem] = [line for line in log.read_text(errors="replace").splitlines() if "FD" in line or "FID" in line]

(out / "results.json").write_text(json.dumps(results, indent=1))
print(results["card"] or "no card named", "|", "; ".join(results["version"][:2]))
for part in results["parts"]:
    print(f"  {part['part']:32} {part['end']:14} {part['seconds']:5.0f} s")
for way, what in (("cuda", "CUDA"), ("ranks", "two ranks on the one GPU")):
    if f"digits20-{way}" in results:
        print("losses of 20 steps of digits, largest difference CPU - {what}: {largest_difference:.2e} of {first:.3f} to {last:.3f}".format(what=what, **results[f"digits20-{way}"]))
if "equality" in results:
    print("equality:", results["equality"])
for row in results["steps"]:
    share = f"{100 * row['share_of_h100_peak']:6.1f} %" if "share_of_h100_peak" in row else "        "
    print(f"  {row['part']:28} {row['what'][:44]:44} {row['ms']:9.2f} ms {row['images_per_second']:9.0f} images/s {share}")
for name, lines in results.get("distances", {}).items():
    for line in lines:
        print(f"  {name}: {line}")
