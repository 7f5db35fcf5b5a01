#!/usr/bin/env python3
"""Clusters the same features by several methods and seeds and prints a Markdown table of the agreement with labels.

    tools/cluster_table.py --features FILE.safetensors --clusters 50 --seeds 5 --work DIR [--sdg build/release/sdg] ROW...

A ROW is NAME=ARGUMENTS of `sdg cluster`: "kmeans=--method kmeans --set kmeans.standardize=false". The row `sklearn` runs
scikit-learn's KMeans with 10 restarts instead. FILE holds the tensors `features` and `labels`; only the scores see labels.
A row NAME<OTHER=ARGUMENTS asks what OTHER has learned (its stored state) with other arguments, without learning again.
Every command and figure is kept in DIR; what is there already is not computed again.
"""
import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

MEASURES = ("nmi", "ari", "accuracy")


def sklearn_row(arguments, seed, out):
    import numpy as np
    from safetensors.numpy import load_file, save_file
    from sklearn.cluster import KMeans
    x = load_file(arguments.features)["features"]
    start = time.perf_counter()
    ids = KMeans(arguments.clusters, n_init=10, random_state=seed).fit(x).labels_
    seconds = time.perf_counter() - start
    save_file({"ids": ids.astype(np.int64)}, out, {"method": "sklearn", "clusters": str(arguments.clusters)})
    return seconds


def run(command, log):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    log.write_text(shlex.join(command) + "\n" + done.stdout + done.stderr)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - start, done.stdout


def one(arguments, name, base, text, seed):
    stem = arguments.work / f"{name}-{seed}"
    kept, out = Path(f"{stem}.json"), Path(f"{stem}.safetensors")
    if kept.exists():
        return json.loads(kept.read_text())
    if name == "sklearn":
        seconds = sklearn_row(arguments, seed, out)
    else:
        command = [arguments.sdg, "cluster", "--features", arguments.features, "--out", str(out), "--export", "ids", "--json"]
        if base:
            state = arguments.work / f"{base}-{seed}.state.safetensors"
            command += ["--from", str(state)]
        else:
            command += ["--clusters", str(arguments.clusters), "--seed", str(seed)]
        seconds, _ = run(command + shlex.split(text), Path(f"{stem}.log"))
    _, scores = run([arguments.sdg, "eval-clusters", "--json", "--labels", arguments.features, "--files", str(out)],
                    Path(f"{stem}.scores.log"))
    result = json.loads(scores)[0] | {"seconds": seconds}
    kept.write_text(json.dumps(result))
    return result


def cell(values, digits=3):
    mean = statistics.mean(values)
    return f"{mean:.{digits}f} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+")
    parser.add_argument("--features", required=True)
    parser.add_argument("--clusters", type=int, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sdg", default="build/release/sdg")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    print("| method | seeds | NMI | ARI | ACC | clusters used | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in arguments.rows:
        name, _, text = row.partition("=")
        name, _, base = name.partition("<")
        results = [one(arguments, name, base, text, seed) for seed in range(arguments.seeds)]
        figures = " | ".join(cell([r[m] for r in results]) for m in MEASURES)
        used = statistics.mean(r["used"] for r in results)
        print(f"| {name} | {len(results)} | {figures} | {used:.1f} | {statistics.mean(r['seconds'] for r in results):.1f} |",
              flush=True)


if __name__ == "__main__":
    main()
