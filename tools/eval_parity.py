#!/usr/bin/env python3
"""Each metric of `sdg eval` beside its public implementation, from the same image files on (docs/evaluation.md).

  PYTHON tools/eval_parity.py A.tar B.tar [--count 1000] [--threads 1] [--keep FOLDER]

A and B are tar files of images; of each the first COUNT by name in equal strides are taken out. The Inception network gets
random weights that keep the variance (tools/bench_eval.py), written once for both sides. Theirs: features, logits and spatial
features of pytorch-fid's network from Pillow's pixels; FID by pytorch-fid, KID, IS, precision and recall by
torch-fidelity, density and coverage by prdc, sFID by pytorch-fid's distance on Mixed_6d.branch1x1. Needs torch,
torchvision, pytorch-fid, torch-fidelity, prdc. Prints a Markdown table; --keep stores their features as .npy.
"""
import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
PROGRAM = os.environ.get("SDG", str(HERE.parent / "build/release/sdg"))


def take_out(archive, count, folder):
    folder.mkdir()
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        stride = max(1, len(members) // count)
        for i, member in enumerate(members[::stride][:count]):
            (folder / f"{i:06d}{Path(member.name).suffix}").write_bytes(tar.extractfile(member).read())
    return sorted(folder.iterdir())


class Theirs:
    def __init__(self, weights):
        import torch
        from bench_eval import random_inception, with_torchvision

        self.torch, self.operators = torch, with_torchvision(torch)
        from pytorch_fid import inception

        random_inception(torch, inception, weights)
        self.net = inception.InceptionV3([3]).eval()
        self.spatial = []
        mixed = [m for name, m in self.net.named_modules() if name.endswith("branch1x1")]
        fid = inception.fid_inception_v3()
        self.fc = fid.fc
        # The blocks of pytorch-fid's wrapper hold Mixed_6d as their own module.
        found = [m for m in self.net.modules() if type(m).__name__ == "FIDInceptionC"]
        assert len(mixed) > 0 and len(found) == 4
        found[2].branch1x1.register_forward_hook(
            lambda _module, _input, out: self.spatial.append(out[:, :7].permute(0, 2, 3, 1).flatten(1)))

    def features(self, files):
        from PIL import Image

        torch, pooled = self.torch, []
        self.spatial.clear()
        with torch.no_grad():
            for i in range(0, len(files), 50):
                batch = [np.asarray(Image.open(f).convert("RGB"), dtype=np.float32) / 255 for f in files[i:i + 50]]
                pooled.append(self.net(torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2))[0][:, :, 0, 0])
            pooled = torch.cat(pooled)
            logits = pooled @ self.fc.weight.T
        return pooled, logits, torch.cat(self.spatial).clone()


def distance(a, b):
    from pytorch_fid.fid_score import calculate_frechet_distance

    sides = [(x.double().numpy().mean(0), np.cov(x.double().numpy(), rowvar=False)) for x in (a, b)]
    return float(calculate_frechet_distance(*sides[0], *sides[1]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("archives", nargs=2)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    n = arguments.count
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [take_out(archive, n, folder / name) for archive, name in zip(arguments.archives, "ab")]
        weights = folder / "inception.pth"
        import torch

        torch.set_num_threads(arguments.threads)
        theirs = Theirs(weights)
        began = time.perf_counter()
        (a, logits, spatial_a), (b, _, spatial_b) = (theirs.features(each) for each in files)
        extraction = time.perf_counter() - began
        if arguments.keep:
            for name, each in (("a", a), ("b", b)):
                np.save(Path(arguments.keep) / f"{name}.npy", each.numpy())
        began = time.perf_counter()
        told = subprocess.run(
            [PROGRAM, "eval", "--images", folder / "a", "--reference", folder / "b", "--extractor", "inception", "--extractor-weights", weights,
             "--metrics", "fid,sfid,is,kid,pr,dc", "--subsets", "1", "--subset-size", str(n), "--splits", "1", "--device", "cpu", "--json"],
            env=dict(os.environ, OMP_NUM_THREADS=str(arguments.threads)), capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if told.returncode:
            sys.exit(told.stderr)
        result = json.loads(told.stdout)

        import prdc
        from torch_fidelity.metric_isc import isc_features_to_metric
        from torch_fidelity.metric_kid import kid_features_to_metric
        from torch_fidelity.metric_prc import prc_features_to_metric

        right = {"FID": distance(a, b), "sFID": distance(spatial_a, spatial_b)}
        right["IS"] = isc_features_to_metric(logits, splits=1, shuffle=False)["inception_score_mean"]
        right["KID"] = kid_features_to_metric(a.double(), b.double(), kid_subsets=1, kid_subset_size=n, verbose=False)["kernel_inception_distance_mean"]
        manifold = prc_features_to_metric(a.double(), b.double(), prc_neighborhood=3, verbose=False)
        right["precision"], right["recall"] = manifold["precision"], manifold["recall"]
        with contextlib.redirect_stdout(io.StringIO()):
            dense = prdc.compute_prdc(b.double().numpy(), a.double().numpy(), 5)
        right["density"], right["coverage"] = dense["density"], dense["coverage"]

    print(f"{n} images a side, {arguments.threads} thread(s); protocol {result['protocol_id']}; features: theirs {extraction:.0f} s, "
          f"sdg eval with everything {seconds:.0f} s\n")
    print("| metric | theirs | sdg | relative difference |\n| --- | ---: | ---: | ---: |")
    for name, value in right.items():
        ours = next((v["value"] for key, v in result["metrics"].items() if key.lower().split("-")[0] == name.lower()), None)
        if ours is None:
            print(f"| {name} | {value:.7g} | missing among {', '.join(result['metrics'])} | |")
        else:
            print(f"| {name} | {value:.7g} | {ours:.7g} | {abs(ours / value - 1) if value else abs(ours):.1e} |")


main()
