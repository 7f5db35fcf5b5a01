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
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np


def say(**what):
    print(json.dumps(what), flush=True)


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


def measured(words, threads):
    """Standard output, seconds, peak GiB and processor seconds of a process."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(list(map(str, words)), env=environment, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0)
        if status:
            sys.exit(f"failed: {' '.join(map(str, words))}")
        return out.read().decode(), seconds, usage.ru_maxrss / 2**20, usage.ru_utime + usage.ru_stime


def features(arguments, folder):
    import torch

    _operators = with_torchvision(torch)
    from pytorch_fid import fid_score, inception

    torch.set_num_threads(arguments.threads)
    weights = folder / "inception.pth"
    random_inception(torch, inception, weights)
    net = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    files = sorted(p for p in Path(arguments.images).rglob("*") if p.suffix in (".png", ".jpg", ".jpeg"))
    files = files[:: max(1, len(files) // arguments.count)][: arguments.count]
    halves = []
    for half in (0, 1):  # two sets, so that there is a distance to compare
        own = folder / f"half{half}"
        own.mkdir()
        for i, file in enumerate(files[half::2]):
            (own / f"{i:06d}{file.suffix}").symlink_to(file.resolve())
        halves.append(own)
    with torch.no_grad():  # warm
        net(torch.zeros(2, 3, 32, 32))
    statistics, start, busy = [], time.perf_counter(), time.process_time()
    for own in halves:
        statistics.append(fid_score.calculate_activation_statistics(sorted(own.glob("*")), net, 50, 2048, "cpu", 0))
    theirs, their_busy = time.perf_counter() - start, time.process_time() - busy
    with warnings.catch_warnings():  # fewer images than features
        warnings.simplefilter("ignore")
        try:
            right = float(fid_score.calculate_frechet_distance(*statistics[0], *statistics[1]))
        except ValueError:  # an imaginary part
            right = float("nan")
    common = ["--extractor", "inception", "--extractor-weights", weights, "--device", "cpu"]
    precisions = ["float32"] + (["bf16"] if "avx512_bf16" in Path("/proc/cpuinfo").read_text() else [])
    for precision in precisions:
        ours, our_busy, stats, option = 0.0, 0.0, [], ["--extractor-precision", precision]
        for i, own in enumerate(halves):
            stats.append(folder / f"{precision}{i}.npz")
            _, took, _, cpu = measured([arguments.sdg, "ref-stats", own, *common, *option, "--out", stats[-1]], arguments.threads)
            ours, our_busy = ours + took, our_busy + cpu
        own = [np.load(s) for s in stats]
        out = measured([arguments.sdg, "eval-fid", "--images", stats[0], "--reference", stats[1], *common, *option, "--json"], arguments.threads)[0]
        value = json.loads(out)["value"]
        say(what=f"features in {precision}, decoding and sdg's start (twice) included", images=len(files), threads=arguments.threads,
            pytorch_fid_seconds=theirs, sdg_seconds=ours, times=theirs / ours, pytorch_fid_processor_seconds=their_busy, sdg_processor_seconds=our_busy, fid_pytorch_fid=right, fid_sdg=value,
            relative=abs(value / right - 1),
            largest_mean_difference=float(max(np.abs(o["mu"] - s[0]).max() for o, s in zip(own, statistics))))


WITH_TORCHVISION = """
import torch
operators = torch.library.Library('torchvision', 'DEF')
for name in ('nms', 'qnms'):
    operators.define(name + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
"""
PROCESS_OF_PYTORCH_FID = WITH_TORCHVISION + """
import sys, numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance
a, b = (np.load(f) for f in sys.argv[1:])
print(calculate_frechet_distance(a['mu'], a['sigma'], b['mu'], b['sigma']))
"""


def frechet(arguments, folder):
    import scipy.linalg
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(2)
    sides, files = [], [folder / "f0.npz", folder / "f1.npz"]
    for i, file in enumerate(files):  # correlated features with a spectrum that falls, as Inception's does
        x = rng.standard_normal((4096, 2048)) * np.exp(-np.arange(2048) / 300.0)
        x = np.maximum(x @ rng.standard_normal((2048, 2048)) / 45 + 0.1 * i, 0)
        sides.append((x.mean(0), np.cov(x, rowvar=False)))
        np.savez(file, mu=sides[-1][0], sigma=sides[-1][1])
    with threadpool_limits(arguments.threads):
        start, busy = time.perf_counter(), time.process_time()
        root = scipy.linalg.sqrtm(sides[0][1] @ sides[1][1])
        right = ((sides[0][0] - sides[1][0]) ** 2).sum() + np.trace(sides[0][1]) + np.trace(sides[1][1]) - 2 * np.trace(root).real
        theirs, their_busy = time.perf_counter() - start, time.process_time() - busy
    test = Path(arguments.sdg).resolve().parent / "tests" / "sdg_test_metrics"
    os.environ["SDG_STATISTICS"] = ",".join(map(str, files))
    out, *_ = measured([test, "--gtest_also_run_disabled_tests", "--gtest_filter=Frechet.DISABLED_TimeOfNamedStatistics"], arguments.threads)
    ours, our_busy, value = map(float, next(line for line in out.splitlines() if line.startswith("frechet ")).split()[1:])
    say(what="Frechet distance of 2048 features, the function alone", threads=arguments.threads, scipy_sqrtm_seconds=theirs, sdg_seconds=ours,
        times=theirs / ours, scipy_processor_seconds=their_busy, sdg_processor_seconds=our_busy, relative=abs(value / right - 1))
    weights = folder / "inception.pth"
    if not weights.exists():
        import torch

        _operators = with_torchvision(torch)
        from pytorch_fid import inception

        random_inception(torch, inception, weights)
    try:
        _, theirs, _, their_busy = measured([sys.executable, "-c", PROCESS_OF_PYTORCH_FID, *files], arguments.threads)
    except SystemExit:
        return say(what="pytorch-fid's process: not to be had")
    _, ours, _, our_busy = measured([arguments.sdg, "eval-fid", "--images", files[0], "--reference", files[1], "--extractor", "inception",
                           "--extractor-weights", weights, "--device", "cpu", "--json"], arguments.threads)
    _, idle, *_ = measured([arguments.sdg, "--version"], arguments.threads)
    say(what="the same, a whole process with start and files; sdg's also reads the network's weights", threads=arguments.threads,
        pytorch_fid_seconds=theirs, sdg_seconds=ours, times=theirs / ours, sdg_start_seconds=idle,
        pytorch_fid_processor_seconds=their_busy, sdg_processor_seconds=our_busy)


MANIFOLDS = {
    "NumPy in float64, whole tables": """
import sys, numpy as np
real, fake = (np.load(f)['features'].astype(np.float64) for f in sys.argv[1:])
def distances(a, b):
    return np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T, 0)
balls = [np.partition(distances(x, x), 3, 1)[:, 3] for x in (real, fake)]
across = distances(real, fake)
print((across <= balls[0][:, None]).any(0).mean(), (across <= balls[1][None]).any(1).mean())
""",
    "torch-fidelity, its default batches": WITH_TORCHVISION + """
import sys, numpy as np
from torch_fidelity.metric_prc import prc_features_to_metric
real, fake = (torch.from_numpy(np.load(f)['features']) for f in sys.argv[1:])
found = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
print(found['precision'], found['recall'])
""",
}


def manifold(arguments, folder):
    rng = np.random.default_rng(3)
    files = [folder / "real.npz", folder / "fake.npz"]
    for file, shift in zip(files, (0, 0.05)):
        np.savez(file, features=(rng.standard_normal((arguments.rows, 2048)) * np.exp(-np.arange(2048) / 300.0) + shift).astype(np.float32))
    weights = folder / "inception.pth"
    if not weights.exists():
        import torch

        _operators = with_torchvision(torch)
        from pytorch_fid import inception

        random_inception(torch, inception, weights)
    what = f"precision and recall of {arguments.rows} x {arguments.rows} at 2048, a whole process"
    out, seconds, peak, busy = measured([arguments.sdg, "eval", "--images", files[1], "--reference", files[0], "--extractor", "inception", "--extractor-weights",
                                   weights, "--device", "cpu", "--metrics", "pr", "--json"], arguments.threads)
    found = {name: score["value"] for name, score in json.loads(out)["metrics"].items()}
    say(what=what, who="sdg eval", threads=arguments.threads, seconds=seconds, processor_seconds=busy, peak_gib=peak, **found)
    for who, code in MANIFOLDS.items():
        try:
            out, seconds, peak, busy = measured([sys.executable, "-c", code, *files], arguments.threads)
        except SystemExit:
            say(what=what, who=who, threads=arguments.threads, seconds="failed, or not to be had")
            continue
        precision, recall = map(float, out.split())
        say(what=what, who=who, threads=arguments.threads, seconds=seconds, processor_seconds=busy, peak_gib=peak, precision=precision, recall=recall)


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
