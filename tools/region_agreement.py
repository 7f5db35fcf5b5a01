#!/usr/bin/env python3
"""How well drawn digit scenes follow the boxes or maps that they were drawn under, beside two controls.

    .venv/bin/python tools/region_agreement.py ASKED.safetensors DRAWN.npz [--none UNCONDITIONAL.npz] [--picture OUT.png]

ASKED is what `sdg sample --conditions` was given: image i of DRAWN (sdg sample --npz) follows row i of it. Ink is a pixel of
a third of full strength and more (tools/digit_scenes.py). Of boxes: the share of ink that lies in the asked box, the
overlap (intersection over union) of the box around the drawn ink with it, and the share of images where that is above one
half. Of maps of classes, 0 the background: the intersection over union of drawn ink with the asked ink. "shuffled" is the
same pictures against what the next picture was asked for, "none" pictures drawn without a condition.
"""

import argparse

import numpy
from PIL import Image
from safetensors.numpy import load_file

INK = 85


def around(ink):
    if not ink.any():
        return None
    rows, columns = ink.any(1).nonzero()[0], ink.any(0).nonzero()[0]
    return numpy.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


def overlap(a, b):
    if a is None:
        return 0.0
    low, high = numpy.maximum(a[:2], b[:2]), numpy.minimum(a[2:], b[2:])
    both = numpy.clip(high - low, 0, None).prod()
    return both / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both)


def of_boxes(ink, asked):
    maps, boxes = asked["maps"][:, 0].astype(bool), asked["boxes"].astype(float)
    inside = [(i & m).sum() / max(1, i.sum()) for i, m in zip(ink, maps)]
    overlaps = numpy.array([overlap(around(i), b) for i, b in zip(ink, boxes)])
    return {"ink inside": numpy.mean(inside), "overlap of boxes": overlaps.mean(), "above one half": (overlaps > 0.5).mean()}


def of_maps(ink, asked):
    wanted = (asked["maps"] > 0) & (asked["maps"] < 255)
    return {"IoU of ink": numpy.mean([(i & w).sum() / max(1, (i | w).sum()) for i, w in zip(ink, wanted)])}


def picture(asked, drawn, path, scale=6, columns=16):
    """Pairs of rows: what was asked for, and under it what was drawn."""
    maps = asked["maps"][:, 0] if asked["maps"].ndim == 4 else asked["maps"]
    tiles = []
    for row in range(0, min(len(drawn), 4 * columns), columns):
        for part in (maps[row : row + columns].astype(float) / max(1, maps.max()) * 255, drawn[row : row + columns]):
            line = [numpy.pad(numpy.kron(t, numpy.ones((scale, scale))), 2, constant_values=60) for t in part]
            tiles.append(numpy.concatenate(line, 1))
    Image.fromarray(numpy.concatenate(tiles).astype(numpy.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("asked")
    parser.add_argument("drawn")
    parser.add_argument("--none")
    parser.add_argument("--picture")
    arguments = parser.parse_args()
    drawn = numpy.load(arguments.drawn)["arr_0"][..., 0]
    asked = {k: v[: len(drawn)] for k, v in load_file(arguments.asked).items()}
    if len(asked["maps"]) != len(drawn):
        parser.error(f"{len(drawn)} pictures were drawn, but only {len(asked['maps'])} conditions are given")
    score = of_boxes if "boxes" in asked else of_maps
    rows = {"asked": score(drawn >= INK, asked), "shuffled": score(numpy.roll(drawn, -1, 0) >= INK, asked)}
    if arguments.none:
        rows["none"] = score(numpy.load(arguments.none)["arr_0"][: len(drawn), ..., 0] >= INK, asked)
    for name, row in rows.items():
        print(name, " ".join(f"{figure} {value:.4f}" for figure, value in row.items()))
    if arguments.picture:
        picture(asked, drawn, arguments.picture)


if __name__ == "__main__":
    main()
