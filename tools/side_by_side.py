#!/usr/bin/env python3
"""One picture of several grids side by side: real images, and what runs draw from the same noise.

    tools/side_by_side.py OUT.png 'real=DATA.safetensors' 'unguided=RUN:0' 'own clusters=RUN:2' 'labels=OTHER_RUN:2'

A grid a NAME=SOURCE: the first images of a safetensors or .npz file (arr_0), or a run's folder and the guidance that `sdg sample` draws it with
(0: without a condition). Nothing is picked: images 0 to --count of seed --seed.
"""
import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parent.parent
GAP, CAPTION = 2, 22


def drawn(source, args):
    """uint8 [count, H, W, 1 or 3]"""
    if source.endswith(".safetensors"):
        return load_file(source)["images"][: args.count, :, :, None]
    if source.endswith(".npz"):
        return np.load(source)["arr_0"][: args.count]
    run, _, guidance = source.rpartition(":")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawn.npz"
        command = [args.sdg, "sample", "--run", run, "--untuned", "--guidance", guidance, "--count", str(args.count)]
        subprocess.run([*command, "--seed", str(args.seed), "--npz", str(file)], check=True, stdout=subprocess.DEVNULL)
        return np.load(file)["arr_0"]


def grid(images, columns, scale):
    """[N, H, W, channels] -> rows of `columns`, white between them"""
    images = images.repeat(scale, 1).repeat(scale, 2)
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    out = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (height + GAP), i % columns * (width + GAP)
        out[y : y + height, x : x + width] = image
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("grids", nargs="+", metavar="NAME=SOURCE")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=int, default=1, help="pixels of a pixel")
    parser.add_argument("--sdg", default=os.environ.get("SDG", ROOT / "build" / "release" / "sdg"))
    args = parser.parse_args()
    named = [each.partition("=")[::2] for each in args.grids]
    grids = [(name, grid(drawn(source, args), args.columns, args.scale)) for name, source in named]
    space = 8 * GAP
    width = sum(g.shape[1] for _, g in grids) + space * (len(grids) - 1)
    colour = any(g.shape[2] == 3 for _, g in grids)
    sheet = Image.new("RGB" if colour else "L", (width, CAPTION + max(g.shape[0] for _, g in grids)), "white")
    pen, x = ImageDraw.Draw(sheet), 0
    for name, pixels in grids:
        pen.text((x + pixels.shape[1] / 2, CAPTION / 2 - 1), name, fill="black", font=ImageFont.load_default(15), anchor="mm")
        sheet.paste(Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]), (x, CAPTION))
        x += pixels.shape[1] + space
    sheet.save(args.out, optimize=True)
    print(f"{args.out}: {sheet.size[0]} x {sheet.size[1]}, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
