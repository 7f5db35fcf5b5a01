#!/usr/bin/env python3
"""k-means of a large random set by sdg, scikit-learn and (where it can be imported) faiss: inertia and time, one core each.

    OMP_NUM_THREADS=1 tools/kmeans_peers.py [--rows 100000 --width 384 --clusters 1000 --iterations 20] [--sdg build/release/sdg]

Rows are drawn around as many centres as there are clusters, so that there is something to find. All start from `--clusters`
different rows of their own choice (start random) and take the same number of Lloyd's iterations; the inertia is computed here,
in float64 of the float32 centroids, and time is the whole call without writing or reading the features.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402


def inertia(x, centroids):
    total, length = 0.0, (centroids.astype(np.float64) ** 2).sum(1)
    for begin in range(0, len(x), 4096):
        block = x[begin:begin + 4096]
        square = (block.astype(np.float64) ** 2).sum(1)
        total += (square + (length - 2.0 * (block @ centroids.T)).min(1)).sum()
    return total


def by_sdg(x, options, folder):
    save_file({"features": x}, folder / "x.safetensors")
    done = subprocess.run([options.sdg, "cluster", "--method", "kmeans", "--features", str(folder / "x.safetensors"), "--clusters",
                           str(options.clusters), "--out", str(folder / "ids.safetensors"), "--export", "ids,prototypes", "--json",
                           "--set", "kmeans.restarts=1", "--set", "kmeans.start=random", "--set", "kmeans.standardize=false",
                           "--set", f"kmeans.iterations={options.iterations}"], capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)
    return load_file(folder / "ids.safetensors")["prototypes"], row["seconds"], row["iterations"]


def by_sklearn(x, options, _):
    from sklearn.cluster import KMeans
    start = time.perf_counter()
    found = KMeans(options.clusters, n_init=1, init="random", max_iter=options.iterations, tol=0, random_state=0).fit(x)
    return found.cluster_centers_, time.perf_counter() - start, found.n_iter_


def by_faiss(x, options, _):
    import faiss
    faiss.omp_set_num_threads(1)
    start = time.perf_counter()
    found = faiss.Kmeans(x.shape[1], options.clusters, niter=options.iterations, seed=0, max_points_per_centroid=len(x))
    found.train(x)
    return found.centroids, time.perf_counter() - start, options.iterations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 100000), ("width", 384), ("clusters", 1000), ("iterations", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sdg", default="build/release/sdg")
    parser.add_argument("--only", nargs="*", default=["sdg", "scikit-learn", "faiss"])
    options = parser.parse_args()
    random = np.random.default_rng(0)
    centres = random.standard_normal((options.clusters, options.width), dtype=np.float32)
    x = centres[random.integers(options.clusters, size=options.rows)]
    x = x + random.standard_normal(x.shape, dtype=np.float32) * 1.5
    print("| program | inertia | iterations | seconds |")
    print("| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name, way in (("sdg", by_sdg), ("scikit-learn", by_sklearn), ("faiss", by_faiss)):
            if name not in options.only:
                continue
            try:
                centroids, seconds, iterations = way(x, options, Path(folder))
            except ImportError as missing:
                print(f"| {name} | {missing} | | |")
                continue
            print(f"| {name} | {inertia(x, centroids):.6g} | {iterations} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
