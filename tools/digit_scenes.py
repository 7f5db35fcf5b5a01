#!/usr/bin/env python3
"""Images with masks, to score clusters of patches against: four real 8x8 digits side by side in 16x16 pixels.

    .venv/bin/python tools/digit_scenes.py configs/digits.safetensors scenes.safetensors [--count 4000] [--seed 0] [--one]

The mask of a pixel is 0 where the digit's ink is below a third of full strength (background) and 1 + the digit elsewhere.
With --one there is one digit, anywhere in the 16x16 pixels, and `boxes` [N, 4] are left, top, right, bottom of its ink:
what `sdg boxes --boxes` and `--truth` read; `labels` are the digits.
"""

import argparse

import numpy
from safetensors.numpy import load_file, save_file

INK = 85


def four(images, labels, count, draw):
    chosen = draw.integers(0, len(images), (count, 2, 2))
    scenes = images[chosen].transpose(0, 1, 3, 2, 4).reshape(count, 16, 16)
    classes = (1 + labels[chosen])[..., None, None] * (images[chosen] >= INK)
    masks = classes.transpose(0, 1, 3, 2, 4).reshape(count, 16, 16)
    return {"images": scenes, "masks": masks}


def one(images, labels, count, draw):
    chosen, places = draw.integers(0, len(images), count), draw.integers(0, 9, (count, 2))
    scenes, boxes = numpy.zeros((count, 16, 16), numpy.uint8), numpy.zeros((count, 4), numpy.float32)
    for scene, box, which, (top, left) in zip(scenes, boxes, chosen, places):
        scene[top : top + 8, left : left + 8] = images[which]
        rows, columns = (scene >= INK).any(1).nonzero()[0], (scene >= INK).any(0).nonzero()[0]
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    masks = (1 + labels[chosen])[:, None, None] * (scenes >= INK)
    return {"images": scenes, "masks": masks, "boxes": boxes, "labels": labels[chosen]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits")
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", action="store_true")
    arguments = parser.parse_args()
    data = load_file(arguments.digits)
    images, labels = data["images"].reshape(-1, 8, 8), data["labels"]
    scenes = (one if arguments.one else four)(images, labels, arguments.count, numpy.random.default_rng(arguments.seed))
    for name in ("images", "masks"):
        scenes[name] = numpy.ascontiguousarray(scenes[name], numpy.uint8)
    save_file(scenes, arguments.out)


if __name__ == "__main__":
    main()
