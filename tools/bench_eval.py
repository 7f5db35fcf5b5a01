#!/usr/bin/env python3
"""sdg's metrics beside the Python tools people use, in one run: the same weights, images, statistics and threads.

  bench_eval.py build/release/sdg IMAGES [--count 256] [--threads 1] [--only features,frechet,manifold]

IMAGES is a folder of images that are files of their own. Needs numpy, scipy, torch, and for the features pytorch-fid and
torchvision (PYTHONPATH may name a folder that holds them). Inception gets random weights that keep the variance, which
is what makes a distance meaningful without the public file: pytorch-fid's network, its weights written for sdg too.
Prints one JSON object a measurement.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def say(**what):
    print(json.dumps(what), flush=True)


def run(program, *arguments, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    start = time.perf_counter()
    done = subprocess.run([program, *map(str, arguments)], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout, seconds


def with_torchvision(torch):
    """A torchvision built for another torch lacks its operators, which Inception needs none of."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def random_inception(torch, pytorch_fid_inception, path):
    """pytorch-fid's network with weights of variance 2 / fan_in, written as a state dict."""
    import torchvision

    keep = torchvision.models.Inception3.load_state_dict
    torchvision.models.Inception3.load_state_dict = lambda self, state, *a, **k: None
    pytorch_fid_inception.load_state_dict_from_url = lambda *a, **k: {}
    torch.manual_seed(1)
    net = pytorch_fid_inception.fid_inception_v3()
    torchvision.models.Inception3.load_state_dict = keep
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    torch.save(net.state_dict(), path)
    pytorch_fid_inception.load_state_dict_from_url = lambda *a, **k: torch.load(path)


def features(arguments, folder):
    import torch

    _operators = with_torchvision(torch)
    from pytorch_fid import fid_score, inception

    torch.set_num_threads(arguments.threads)
    weights = folder / "inception.pth"
    random_inception(torch, inception, weights)
    net = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    files = sorted(p for p in Path(arguments.images).rglob("*") if p.suffix in (".png", ".jpg", ".jpeg"))[: arguments.count]
    halves = []
    for half in (0, 1):  # two sets, so that there is a distance to compare
        own = folder / f"half{half}"
        own.mkdir()
        for i, file in enumerate(files[half::2]):
            (own / f"{i:06d}{file.suffix}").symlink_to(file.resolve())
        halves.append(own)
    with torch.no_grad():  # warm
        net(torch.zeros(2, 3, 32, 32))
    seconds = []
    statistics = []
    for own in halves:
        start = time.perf_counter()
        statistics.append(fid_score.calculate_activation_statistics(sorted(own.glob("*")), net, 50, 2048, "cpu", 0))
        seconds.append(time.perf_counter() - start)
    theirs = sum(seconds)
    ours, stats = 0.0, []
    for i, own in enumerate(halves):
        stats.append(folder / f"s{i}.npz")
        _, took = run(arguments.sdg, "ref-stats", own, "--extractor", "inception", "--extractor-weights", weights, "--out",
                      stats[-1], "--device", "cpu", threads=arguments.threads)
        ours += took
    own = [np.load(s) for s in stats]
    out, _ = run(arguments.sdg, "eval-fid", "--images", stats[0], "--reference", stats[1], "--extractor", "inception",
                 "--extractor-weights", weights, "--device", "cpu", "--json", threads=arguments.threads)
    value = json.loads(out)["value"]
    right = fid_score.calculate_frechet_distance(*statistics[0], *statistics[1])
    same = fid_score.calculate_frechet_distance(own[0]["mu"], own[0]["sigma"], own[1]["mu"], own[1]["sigma"])
    say(what="features, decoding and start of the program included", images=len(files), threads=arguments.threads,
        pytorch_fid_seconds=theirs, sdg_seconds=ours, times=theirs / ours, fid_pytorch_fid=float(right), fid_sdg=value,
        relative=abs(value / right - 1), fid_pytorch_fid_of_sdgs_statistics=float(same), relative_same=abs(value / same - 1),
        largest_mean_difference=float(max(np.abs(o["mu"] - s[0]).max() for o, s in zip(own, statistics))))


def frechet(arguments, folder):
    import scipy.linalg

    rng = np.random.default_rng(2)
    sides = []
    for i in (0, 1):  # correlated features with a spectrum that falls, as Inception's does
        x = rng.standard_normal((4096, 2048)) * np.exp(-np.arange(2048) / 300.0)
        x = np.maximum(x @ rng.standard_normal((2048, 2048)) / 45 + 0.1 * i, 0)
        sides.append((x.mean(0), np.cov(x, rowvar=False)))
        np.savez(folder / f"f{i}.npz", mu=sides[-1][0], sigma=sides[-1][1])
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    start = time.perf_counter()
    root = scipy.linalg.sqrtm(sides[0][1] @ sides[1][1])
    theirs = time.perf_counter() - start
    right = ((sides[0][0] - sides[1][0]) ** 2).sum() + np.trace(sides[0][1]) + np.trace(sides[1][1]) - 2 * np.trace(root).real
    weights = folder / "inception.pth"
    if not weights.exists():
        import torch

        _operators = with_torchvision(torch)
        from pytorch_fid import inception

        random_inception(torch, inception, weights)
    common = ["--extractor", "inception", "--extractor-weights", weights, "--device", "cpu", "--json"]
    out, ours = run(arguments.sdg, "eval-fid", "--images", folder / "f0.npz", "--reference", folder / "f1.npz", *common,
                    threads=arguments.threads)
    value = json.loads(out)["value"]
    _, idle = run(arguments.sdg, "--version", threads=arguments.threads)
    say(what="Frechet distance of 2048 features, sdg's with start, weights and files", threads=arguments.threads,
        scipy_sqrtm_seconds=theirs, sdg_seconds=ours, times=theirs / ours, sdg_start_seconds=idle, relative=abs(value / right - 1))


def manifold(arguments, folder):
    rng = np.random.default_rng(3)
    n = arguments.rows
    real, fake = (rng.standard_normal((n, 2048)) + s for s in (0, 0.05))

    def distances(a, b):
        return np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T, 0)

    start = time.perf_counter()
    balls = [np.partition(distances(x, x), 3, 1)[:, 3] for x in (real, fake)]
    across = distances(real, fake)
    precision, recall = (across <= balls[0][:, None]).any(0).mean(), (across <= balls[1][None]).any(1).mean()
    seconds = time.perf_counter() - start
    say(what=f"precision and recall of {n} x {n} at 2048, NumPy in float64, whole tables", threads=arguments.threads,
        seconds=seconds, precision=precision, recall=recall,
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sdg")
    parser.add_argument("images")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--only", default="features,frechet,manifold")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.only.split(","):
            {"features": features, "frechet": frechet, "manifold": manifold}[name](options, Path(temporary))
