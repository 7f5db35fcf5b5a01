#!/usr/bin/env python3
"""Every metric of `sdg eval`, on 1, 2 and 3 threads and on 1 and 2 ranks, and of images in other batches (docs/evaluation.md).

  tools/eval_equal.py IMAGES REFERENCE [--count 60] [options of sdg eval, such as --extractor inception]

IMAGES and REFERENCE are tar files or folders of images of one size; of each COUNT are taken. Batches: the images alone, by
sevens and all at once, as .npz files whose statistics are joined again in order. Prints the largest relative difference of a
metric from one thread's, and ends with 1 where it is above 1e-9. Needs numpy and Pillow.
"""
import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PROGRAM = os.environ.get("SDG", str(Path(__file__).resolve().parent.parent / "build/release/sdg"))


def pixels(source, count):
    """uint8 [count, H, W, 3], in equal strides of the names."""
    def chosen(names):
        return names[:: max(1, len(names) // count)][:count]

    if Path(source).is_dir():
        files = chosen(sorted(p for p in Path(source).rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg")))
        return np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])
    with tarfile.open(source) as tar:
        members = chosen(sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name))
        return np.stack([np.asarray(Image.open(tar.extractfile(m)).convert("RGB")) for m in members])


def call(words, threads):
    done = subprocess.run([PROGRAM, *map(str, words)], env=dict(os.environ, OMP_NUM_THREADS=str(threads)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def values(told):
    return {(name, key): value for name, row in json.loads(told)["metrics"].items() for key, value in row.items() if key != "residual"}


def rows_in_batches(images, batch, folder, options):
    """Features of the images, `batch` in a call of sdg ref-stats; two at least, since one has no covariance."""
    rows = []
    pieces = np.array_split(images, range(batch, len(images), batch)) if batch > 1 else [np.stack([i, i]) for i in images]
    for piece in pieces:
        if len(piece) == 1:
            piece = np.concatenate([piece, piece])
            single = True
        else:
            single = batch == 1
        np.savez(folder / "piece.npz", arr_0=piece)
        call(["ref-stats", folder / "piece.npz", "--rows", "--out", folder / "rows.npz", *options], 1)
        found = np.load(folder / "rows.npz")["features"]
        rows.append(found[:1] if single else found)
    return np.concatenate(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("reference")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--batches", default="1,7,64", help="of the first 14 images; empty: leave out")
    arguments, options = parser.parse_known_args()
    options += ["--device", "cpu"]
    worst = 0.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, source in (("a", arguments.images), ("b", arguments.reference)):
            np.savez(folder / f"{name}.npz", arr_0=pixels(source, arguments.count))
        words = ["eval", "--images", folder / "a.npz", "--reference", folder / "b.npz", "--metrics", "all", "--resamples", "10", "--json", *options]
        right = values(call(words, 1))
        for what, before, threads in (("2 threads", [], 2), ("3 threads", [], 3), ("2 ranks", ["launch", "-n", "2"], 1)):
            found = values(call(before + words, threads))
            assert found.keys() == right.keys()
            apart = max(abs(found[k] - right[k]) / max(abs(right[k]), 1e-300) if right[k] else abs(found[k]) for k in right)
            worst = max(worst, apart)
            print(f"{what} against 1 thread, {len(right)} numbers of {arguments.count} images a side: {apart:.1e} apart", flush=True)
        few = np.load(folder / "a.npz")["arr_0"][:14]
        batches = [int(b) for b in arguments.batches.split(",") if b]
        each = [rows_in_batches(few, batch, folder, options) for batch in batches]
        for batch, rows in zip(batches[1:], each[1:]):
            apart = float(np.abs(rows - each[0]).max())
            worst = max(worst, apart)
            print(f"features of 14 images in calls of {batch} against calls of {batches[0]}: {apart:.1e} apart", flush=True)
    sys.exit(worst > 1e-9)


main()
