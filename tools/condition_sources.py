#!/usr/bin/env python3
"""CIFAR-10 at 16x16, guided by seven sources of conditions, the same network and training for all (docs/results.md).

  tools/condition_sources.py cifar10-train.tar cifar10_resnet56.safetensors OUT [--seeds 0,1,2] [--steps 2000] [--sources none,label,…] [--only train,measure,table]

none, label, online, and stored clusters of k-means and CLUDI, each of the features of a ResNet-56 that learned the labels and
of those of the `none` run of the same seed. K = 50 but for labels. Every source and seed is drawn from at every guidance
with the same noise; Fréchet distances in ResNet-56's features against the training images at 16x16. Prints Markdown and draws OUT/chart.svg.

What is in OUT already is not made again, so seeds can be trained by several processes after one another has made OUT/outside.safetensors.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import guidance_chart

HERE = Path(__file__).resolve().parent
PROGRAM = os.environ.get("SDG", str(HERE.parent / "build/release/sdg"))
STORED = ("kmeans-outside", "cludi-outside", "kmeans-own", "cludi-own")
SOURCES = ("none", "label", "online", *STORED)
NAMES = {"none": "none", "label": "labels", "online": "online", "kmeans-outside": "k-means of ResNet-56",
         "cludi-outside": "CLUDI of ResNet-56", "kmeans-own": "k-means of the `none` run", "cludi-own": "CLUDI of the `none` run"}
# CLUDI at a hundredth of the public length: one copy, one step of the teacher, four passes (docs/sisters.md, "On real features").
CLUDI = ("cludi.train.copies=1", "cludi.train.steps=1", "cludi.train.epochs=4", "cludi.train.lr=3e-4", "cludi.train.warmup=0",
         "cludi.answer.steps=1", "cludi.answer.draws=1")
TRAINING = ("data.size=16", "model.name=uvit-tiny/4", "train.batch=128", "train.lr=2e-3", "train.warmup=100", "train.ema=0.998",
            "train.picture_every=0", "train.log_every=100", "train.save_every=100000")


def settings(values):
    return [word for value in values for word in ("--set", value)]


def sdg(*words):
    before = os.times()
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{PROGRAM} {' '.join(map(str, words))}\n{done.stderr}")
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{seconds:.0f} processor seconds: sdg {' '.join(map(str, words))}", file=sys.stderr, flush=True)
    return done.stdout


def clusters_of(a, source, seed):
    """The file of stored clusters, made where it is not there yet."""
    method, whose = source.split("-")
    out = a.out / f"{source}-{seed}.safetensors"
    if out.exists():
        return out
    features = ["--features", a.out / "outside.safetensors"] if whose == "outside" else ["--run", a.out / f"none-{seed}", "--device", "cpu"]
    if method == "kmeans":
        sdg("kmeans", *features, "--clusters", 50, "--seed", seed, "--out", out)
    else:
        sdg("cluster", "--method", "cludi", *features, "--clusters", 50, "--seed", seed, *settings(CLUDI), "--out", out)
    return out


def train(a, seed):
    outside = a.out / "outside.safetensors"
    if not outside.exists() and any(source.endswith("-outside") for source in a.sources):
        kept = a.out / "outside-kmeans.safetensors"
        sdg("kmeans", "--extractor", "cifar-resnet56", "--extractor-weights", a.weights, "--data", a.data, "--clusters", 50, "--no-standardize",
            "--keep-features", "--restarts", 1, "--out", kept, "--device", "cpu")
        kept.rename(outside)
    for source in a.sources:
        run = a.out / f"{source}-{seed}"
        if (run / "done").exists():
            continue
        told = [f"condition.source={source}"]
        if source in STORED:
            told = ["condition.source=file", f"condition.file={clusters_of(a, source, seed)}"]
        sdg("train", "--config", "cifar10.yaml", "--run", run, *settings([f"data.path={a.data}", *TRAINING, f"train.steps={a.steps}",
            f"seed={seed}", "device=cpu", *told, *a.set]))
        (run / "done").touch()


def measure(a, seed):
    statistics_file = a.out / "train-16.npz"
    judge = ["--extractor", "cifar-resnet56", "--extractor-weights", a.weights, "--device", "cpu"]
    if not statistics_file.exists():
        sdg("ref-stats", a.data, *judge, "--size", 16, "--count", 10000, "--out", statistics_file)
    for source in a.sources:
        run = a.out / f"{source}-{seed}"
        if source not in ("none", "label") and not (run / "clusters.json").exists():
            (run / "clusters.json").write_text(sdg("eval-clusters", "--run", run, "--device", "cpu", "--json"))
        for w in [1.0] if source == "none" else a.guidance:
            out = a.out / f"{source}-{seed}-{w:g}.json"
            if not out.exists():
                sdg("eval", "--run", run, *judge, "--metrics", "fid,fid-interval", "--count", a.count, "--reference", statistics_file,
                    "--solver", "unipc", "--steps", 10, "--guidance", w, "--save", out)


def table(a):
    measured = {}  # (source, guidance) -> {seed: (distance, card)}
    for source in a.sources:
        for w in a.guidance:
            files = {seed: a.out / f"{source}-{seed}-{w:g}.json" for seed in a.seeds}
            found = {seed: json.loads(file.read_text()) for seed, file in files.items() if file.exists()}
            measured[source, w] = {seed: (next(iter(each["metrics"].values()))["value"], each["protocol_id"]) for seed, each in found.items()}

    def distances(source, w):
        return [distance for distance, _ in measured[source, w].values()]

    print("| conditions | " + " | ".join(f"guidance {w:g}" for w in a.guidance) + " | NMI, ARI by seed |\n| --- |" + " ---: |" * len(a.guidance) + " --- |")
    for source in a.sources:
        cells = []
        for w in a.guidance:
            d = distances(source, w)
            cells.append(f"{statistics.fmean(d):.2f} ({min(d):.2f}–{max(d):.2f})" if d else "")
        files = [a.out / f"{source}-{seed}" / "clusters.json" for seed in a.seeds]
        scores = [json.loads(f.read_text()) for f in files if f.exists()]
        agreement = "; ".join(", ".join(f"{s[key]:.3f}" for s in scores) for key in ("nmi", "ari")) if scores else ""
        print(f"| {NAMES[source]} | " + " | ".join(cells) + f" | {agreement} |")
    print("\n| best guidance of each, by seed | " + " | ".join(f"seed {s}" for s in a.seeds) + " |\n| --- |" + " --- |" * len(a.seeds))
    for source in a.sources:
        best = []
        for seed in a.seeds:
            values = {w: measured[source, w][seed][0] for w in a.guidance if seed in measured[source, w]}
            w = min(values, key=values.get) if values else None
            best.append(f"{values[w]:.2f} at {w:g}" if values else "")
        print(f"| {NAMES[source]} | " + " | ".join(best) + " |")
    chart = {NAMES[source].replace("`", ""): {w: distances(source, w) for w in a.guidance if distances(source, w)} for source in a.sources}
    guidance_chart.draw(chart, a.out / "chart.svg", f"CIFAR-10 at 16x16, seeds {', '.join(map(str, a.seeds))}: mean and range over seeds")
    print("\n| card | " + " | ".join(f"{w:g}" for w in a.guidance) + " |\n| --- |" + " --- |" * len(a.guidance))
    for source in a.sources:
        ids = [sorted({card for _, card in measured[source, w].values()}) for w in a.guidance]
        print(f"| {NAMES[source]} | " + " | ".join(", ".join(f"`{i}`" for i in each) for each in ids) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for place in ("data", "weights", "out"):
        parser.add_argument(place, type=Path)
    parser.add_argument("--seeds", default="0,1,2", type=lambda v: [int(s) for s in v.split(",")])
    parser.add_argument("--sources", default=list(SOURCES), type=lambda v: [source for source in SOURCES if source in v.split(",")])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--guidance", default="1,1.5,2,3,5", type=lambda v: [float(s) for s in v.split(",")])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="more options of every training")
    parser.add_argument("--only", default="train,measure,table", type=lambda v: v.split(","))
    a = parser.parse_args()
    a.data, a.weights, a.out = (path.resolve() for path in (a.data, a.weights, a.out))
    a.out.mkdir(parents=True, exist_ok=True)
    for seed in a.seeds:
        if "train" in a.only:
            train(a, seed)
        if "measure" in a.only:
            measure(a, seed)
    if "table" in a.only:
        table(a)


main()
