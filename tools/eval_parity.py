#!/usr/bin/env python3
"""Each metric of `sdg eval` beside its public implementation, from the same image files on (docs/evaluation.md).

  PYTHON tools/eval_parity.py A.tar B.tar --state FOLDER [--count 10000] [--seconds 600] [--only theirs,ours,table]

A and B are tar files of images; of each COUNT are taken out, by name in equal strides. The Inception network gets random
weights that keep the variance (tools/bench_eval.py), written once for both sides. Features come in blocks that are kept in
FOLDER: a call stops after SECONDS and the next one goes on, both archives growing alike, so that a long extraction fits
into short ones. The table is of the blocks that all four sides have, and says how many images that are.

Theirs: features, logits and spatial features of pytorch-fid's network in float32 from Pillow's pixels; FID and sFID by
pytorch-fid's distance, KID, IS, precision and recall by torch-fidelity, density and coverage by prdc. Ours: `sdg ref-stats
--rows` of the same files, joined, and `sdg eval` of them; and `sdg eval` of their features, so that each metric is compared
on the very same numbers, too. Needs torch, torchvision, pytorch-fid, torch-fidelity, prdc, Pillow.
"""
import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
PROGRAM = os.environ.get("SDG", str(HERE.parent / "build/release/sdg"))


def take_out(archive, count, block, folder):
    """FOLDER/000, 001, …: each folder holds `block` images from all over the archive."""
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        with tarfile.open(archive) as tar:
            members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
            stride, blocks = max(1, len(members) // count), -(-count // block)
            for i, member in enumerate(members[::stride][:count]):
                to = unfinished / f"{i % blocks:03d}" / f"{i:06d}{Path(member.name).suffix}"
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(tar.extractfile(member).read())
        unfinished.rename(folder)
    return sorted(folder.iterdir())


def network(torch, weights):
    from bench_eval import random_inception
    from pytorch_fid import inception

    random_inception(torch, inception, weights)
    net = inception.InceptionV3([3]).eval()
    fc = inception.fid_inception_v3().fc
    blocks = [m for m in net.modules() if type(m).__name__ == "FIDInceptionC"]
    assert len(blocks) == 4  # Mixed_6b … 6e
    spatial = []
    blocks[2].branch1x1.register_forward_hook(
        lambda _module, _input, out: spatial.append(out[:, :7].permute(0, 2, 3, 1).flatten(1)))  # as ADM's, row by row
    return net, fc.weight, spatial


def their_block(torch, net, fc, spatial, folder):
    from PIL import Image

    pooled, files = [], sorted(folder.iterdir())
    spatial.clear()
    with torch.no_grad():
        for i in range(0, len(files), 50):
            batch = [np.asarray(Image.open(f).convert("RGB"), dtype=np.float32) / 255 for f in files[i:i + 50]]
            pooled.append(net(torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2))[0][:, :, 0, 0])
        pooled = torch.cat(pooled)
        return {"features": pooled.numpy(), "logits": (pooled @ fc.T).numpy(), "spatial": torch.cat(spatial).numpy()}


def save(path, arrays):
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.rename(path)


def extract(torch, arguments, state, sides):
    """Blocks in turns, a side after the other, until all are there or the time is over."""
    torch.set_num_threads(arguments.threads)
    ends = time.perf_counter() + arguments.seconds
    weights = state / "inception.pth"
    theirs = None
    for index in range(max(map(len, sides.values()))):
        for who in ("theirs", "ours"):
            if who not in arguments.only:
                continue
            for side, folders in sides.items():
                to = state / who / side / f"{index:03d}.npz"
                if index >= len(folders) or to.exists():
                    continue
                to.parent.mkdir(parents=True, exist_ok=True)
                if who == "theirs" or not weights.exists():
                    theirs = theirs or network(torch, weights)
                began = time.perf_counter()
                if who == "theirs":
                    save(to, their_block(torch, *theirs, folders[index]))
                else:
                    part = to.with_suffix(".part.npz")
                    program("ref-stats", folders[index], "--rows", "--extractor", "inception", "--extractor-weights", weights,
                            "--out", part, threads=arguments.threads)
                    part.rename(to)
                print(f"{who} {side} {index}: {time.perf_counter() - began:.1f} s", flush=True)
                if time.perf_counter() > ends:
                    return False
    return True


def program(*arguments, threads):
    done = subprocess.run([PROGRAM, *map(str, arguments), "--device", "cpu"], capture_output=True, text=True,
                          env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def evaluate(state, who, names, count, threads):
    """What `sdg eval` says of the features in state/who-a.npz against who-b.npz: name in small letters -> value."""
    options = ["--extractor", "inception", "--extractor-weights", state / "inception.pth", "--subsets", "1", "--subset-size", count,
               "--splits", "1", "--json"]
    told = json.loads(program("eval", "--images", state / f"{who}-a.npz", "--reference", state / f"{who}-b.npz", "--metrics", names, *options,
                              threads=threads))
    return {name.lower(): value["value"] for name, value in told["metrics"].items()}, told["protocol_id"]


def moments(x):
    x = x.astype(np.float64)
    return x.mean(0), np.cov(x, rowvar=False)


def distance(a, b):
    """Of mean and covariance."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    return float(calculate_frechet_distance(*a, *b))


def judged(a, b):
    """Their metrics of their own features: name -> (value, who says so)."""
    import prdc
    import torch
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    n = len(a["features"])
    x, y = (torch.from_numpy(each["features"]).double() for each in (a, b))
    right = {"FID": (distance(moments(a["features"]), moments(b["features"])), "pytorch-fid"),
             "sFID": (distance((a["mu_s"], a["sigma_s"]), (b["mu_s"], b["sigma_s"])), "pytorch-fid's distance")}
    score = isc_features_to_metric(torch.from_numpy(a["logits"]), splits=1, shuffle=False)
    right["IS"] = score["inception_score_mean"], "torch-fidelity"
    kernel = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=n, verbose=False)
    right["KID"] = kernel["kernel_inception_distance_mean"], "torch-fidelity"
    manifold = prc_features_to_metric(x, y, prc_neighborhood=3, verbose=False)
    right["precision"], right["recall"] = (manifold["precision"], "torch-fidelity"), (manifold["recall"], "torch-fidelity")
    with contextlib.redirect_stdout(io.StringIO()):
        dense = prdc.compute_prdc(y.numpy(), x.numpy(), 5)
    right["density"], right["coverage"] = (dense["density"], "prdc"), (dense["coverage"], "prdc")
    return right


def joined(state, who, side, blocks):
    """Features and logits one below the other; mean and covariance of the spatial features of all, in float64."""
    parts = [np.load(state / who / side / f"{i:03d}.npz") for i in range(blocks)]
    out = {name: np.concatenate([part[name] for part in parts]) for name in ("features", "logits")}
    if "spatial" in parts[0]:
        out["mu_s"], out["sigma_s"] = moments(np.concatenate([part["spatial"] for part in parts]))
        return out
    counts = np.array([float(part["count"]) for part in parts])
    means = np.stack([part["mu_s"] for part in parts])
    out["mu_s"] = counts @ means / counts.sum()
    apart = means - out["mu_s"]
    scatter = sum((n - 1) * part["sigma_s"] for n, part in zip(counts, parts)) + (counts * apart.T) @ apart
    out["sigma_s"] = scatter / (counts.sum() - 1)
    return out


def table(arguments, state, sides):
    def complete(who):
        there = [sum((state / who / side / f"{i:03d}.npz").exists() for i in range(len(folders))) for side, folders in sides.items()]
        return min(there)

    blocks = min(complete("theirs"), complete("ours"))
    if blocks == 0:
        sys.exit("no block of features is there on all sides yet")
    theirs, ours = ([joined(state, who, side, blocks) for side in sides] for who in ("theirs", "ours"))
    for who, both in (("theirs", theirs), ("ours", ours)):
        for side, arrays in zip("ab", both):
            save(state / f"{who}-{side}.npz", arrays)
    count = len(theirs[0]["features"])
    names = "fid,sfid,is,kid,pr,dc"
    same, _ = evaluate(state, "theirs", names, count, arguments.threads)
    own, protocol = evaluate(state, "ours", names, count, arguments.threads)
    right = judged(*theirs)
    apart = lambda value, to: abs(value / to - 1) if to else abs(value)
    print(f"{count} images a side; protocol {protocol}; a feature of theirs and ours differs by "
          f"{max(np.abs(t['features'] - o['features']).max() for t, o in zip(theirs, ours)):.1e} at most\n")
    print("| metric | judge | judge's value | sdg on the judge's features | apart | sdg from the files on | apart |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (value, who) in right.items():
        on_same, on_own = (next(v for key, v in each.items() if key == name.lower()) for each in (same, own))
        print(f"| {name} | {who} | {value:.9g} | {on_same:.9g} | {apart(on_same, value):.1e} | {on_own:.9g} | {apart(on_own, value):.1e} |")
    fid_same = distance(*(moments(each["features"]) for each in ours))
    print(f"\npytorch-fid's distance of sdg's features: {fid_same:.12g}, sdg's {own['fid']:.12g}, {apart(own['fid'], fid_same):.1e} apart")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs=2)
    parser.add_argument("--state", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--block", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="theirs,ours,table")
    arguments = parser.parse_args()
    state = Path(arguments.state)
    state.mkdir(parents=True, exist_ok=True)
    sides = {side: take_out(archive, arguments.count, arguments.block, state / side) for side, archive in zip("ab", arguments.archives)}
    import torch
    from bench_eval import with_torchvision

    _operators = with_torchvision(torch)  # kept: with it they would go again
    if "ours" in arguments.only or "theirs" in arguments.only:
        print("all blocks are there" if extract(torch, arguments, state, sides) else "to be gone on with", flush=True)
    if "table" in arguments.only:
        table(arguments, state, sides)


main()
