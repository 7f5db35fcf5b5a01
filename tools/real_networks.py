#!/usr/bin/env python3
"""Distances whose order is known beforehand (docs/evaluation.md), with intervals, each with the id of its protocol.

  PYTHON tools/real_networks.py DATA WEIGHTS OUT [--count 2000] [--run cifar=RUN --guidance 1,1.5,2] [--run digits=RUN ...]

DATA holds cifar10-train.tar, cifar10-test.tar, digits.safetensors, mnist5k.safetensors; WEIGHTS cifar10_resnet56.safetensors,
taef2_encoder.pth, taef2_decoder.pth. CIFAR-10: test images, other training images, test images encoded and decoded by
TAEF2, blurred ones, noise, each COUNT against the statistics of COUNT_REFERENCE training images at 32x32, and at 16x16 with
what RUN draws. Digits and MNIST: one half against the other. Results are kept in OUT as JSON (sdg compare); prints Markdown.
"""
import argparse
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
PROGRAM = os.environ.get("SDG", str(HERE.parent / "build/release/sdg"))


def sdg(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"sdg {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def images_of(archive, count, offset):
    """COUNT images spread over the tar's names, beginning at `offset`."""
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        stride = len(members) // count
        return [Image.open(tar.extractfile(m)).convert("RGB").copy() for m in members[offset::stride][:count]]


def write(path, images):
    np.savez(path, arr_0=np.stack([np.asarray(i) for i in images]))
    return path


def row(name, out, *words):
    file = out / (name.replace(" ", "-").replace(",", "").replace("/", "-") + ".json")
    sdg("eval", *words, "--device", "cpu", "--save", file)
    result = json.loads(file.read_text())
    (label, distance), *others = result["metrics"].items()
    low, high = next(((v["low"], v["high"]) for _, v in others if "low" in v), (None, None))
    interval = f"{low:.3f} to {high:.3f}" if low is not None else "–"
    print(f"| {name} | {label} | {distance['value']:.3f} | {interval} | `{result['protocol_id']}` |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    for place in ("data", "weights", "out"):
        parser.add_argument(place, type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--reference-count", type=int, default=10000)
    parser.add_argument("--run", action="append", default=[])
    parser.add_argument("--guidance", default="1,1.5,2,3")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    n = a.count
    runs = [each.split("=", 1) for each in a.run]
    print("| measured | metric | value | 95 % interval | protocol |\n| --- | --- | ---: | ---: | --- |")

    train, test = a.data / "cifar10-train.tar", a.data / "cifar10-test.tar"
    net = ["--extractor", "cifar-resnet56", "--extractor-weights", a.weights / "cifar10_resnet56.safetensors"]
    metrics = ["--metrics", "fid,fid-interval"]
    reference = write(a.out / "train.npz", images_of(train, a.reference_count, 0))
    tests = images_of(test, n, 0)
    folder = a.out / "test"
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(tests):
        image.save(folder / f"{i:05d}.png")
    latents, decoded = a.out / "latents.safetensors", a.out / "decoded"
    if not latents.exists():
        sdg("encode", "--device", "cpu", "--autoencoder", f"{a.weights}/taef2_encoder.pth,{a.weights}/taef2_decoder.pth", "--in", folder,
            "--out", latents, "--size", 32)
        sdg("decode", "--device", "cpu", "--in", latents, "--out", decoded)
    noise = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    sets = {"other training images": write(a.out / "others.npz", images_of(train, n, 2)),
            "test images": write(a.out / "test.npz", tests),
            "test images through TAEF2": decoded,
            "test images, blurred by 1 pixel": write(a.out / "blurred.npz", [i.filter(ImageFilter.GaussianBlur(1)) for i in tests]),
            "uniform noise": write(a.out / "noise.npz", noise)}
    stats = a.out / "train-32-stats.npz"
    sdg("ref-stats", reference, *net, "--out", stats, "--device", "cpu")
    for name, images in sets.items():
        row(f"CIFAR-10, {name}", a.out, "--images", images, "--reference", stats, *net, *metrics)
    drawn = [run for kind, run in runs if kind == "cifar"]
    if drawn:
        small = a.out / "train-16-stats.npz"
        sdg("ref-stats", train, *net, "--size", 16, "--count", a.reference_count, "--out", small, "--device", "cpu")
        row("CIFAR-10 at 16x16, test images", a.out, "--images", sets["test images"], "--size", 16, "--reference", small, *net, *metrics)
        for run in drawn:
            for w in a.guidance.split(","):
                row(f"CIFAR-10 at 16x16, {Path(run).name} at guidance {w}", a.out, "--run", run, "--guidance", w, "--count", n,
                    "--reference", small, *net, *metrics)

    for name, file in (("digits", "digits.safetensors"), ("MNIST", "mnist5k.safetensors")):
        pixels = next(v for v in load_file(a.data / file).values() if v.ndim >= 3)
        pixels = pixels.reshape(len(pixels), *pixels.shape[-2:])[..., None].repeat(3, -1).astype(np.uint8)
        halves = [a.out / f"{name}-{half}.npz" for half in (0, 1)]
        for half, path in enumerate(halves):
            np.savez(path, arr_0=pixels[half::2])
        row(f"{name}, one half against the other", a.out, "--images", halves[0], "--reference", halves[1], "--extractor", "digits", *metrics)
    for kind, run in runs:
        if kind == "digits":
            for w in a.guidance.split(","):
                row(f"digits, {Path(run).name} at guidance {w}", a.out, "--run", run, "--guidance", w, "--count", 1500, *metrics)


main()
