#!/usr/bin/env python3
"""Images with masks, to score clusters of patches against: four real 8x8 digits side by side in 16x16 pixels.

    .venv/bin/python tools/digit_scenes.py configs/digits.safetensors scenes.safetensors [--count 4000] [--seed 0]

The mask of a pixel is 0 where the digit's ink is below a third of full strength (background) and 1 + the digit elsewhere.
"""

import argparse

import numpy
from safetensors.numpy import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits")
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = load_file(arguments.digits)
    images, labels = data["images"].reshape(-1, 8, 8), data["labels"]
    chosen = numpy.random.default_rng(arguments.seed).integers(0, len(images), (arguments.count, 2, 2))
    scenes = images[chosen].transpose(0, 1, 3, 2, 4).reshape(arguments.count, 16, 16)
    classes = (1 + labels[chosen])[..., None, None] * (images[chosen] >= 85)
    masks = classes.transpose(0, 1, 3, 2, 4).reshape(arguments.count, 16, 16)
    save_file({"images": numpy.ascontiguousarray(scenes, numpy.uint8), "masks": numpy.ascontiguousarray(masks, numpy.uint8)},
              arguments.out)


if __name__ == "__main__":
    main()
