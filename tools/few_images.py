#!/usr/bin/env python3
"""How far distances of few images can be trusted: raw, less their bias, and of conditions in even turns. Judge: NumPy, beside `sdg tune`.

  tools/few_images.py build/release/sdg RUN [--guidance 1 1.5] [--count 3840] [--out FOLDER]

Draws the run of the digits at each guidance, takes FD-digits of all images, then of twenty sets of 96, 192 and 384: of consecutive images,
whose conditions come as they were drawn, and of images chosen so that each condition comes as often as among all. Prints mean and
deviation over the sets of the distance, of the distance less its bias, and of the difference of the two guidances.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
from safetensors.torch import load_file

from train_digit_classifier import ROOT, DigitClassifier


def features(images):
    network = DigitClassifier()
    network.load_state_dict(load_file(ROOT / "configs/digits_classifier.safetensors"))
    network.eval()
    with torch.no_grad():
        return network.features(torch.as_tensor(numpy.asarray(images)).view(-1, 1, 8, 8).float() / 255).double().numpy()


class Distance:
    def __init__(self, reference):
        self.mean, covariance = reference.mean(0), numpy.cov(reference.T)
        values, vectors = numpy.linalg.eigh(covariance)
        self.root = (vectors * numpy.sqrt(values.clip(0))) @ vectors.T
        self.trace = covariance.trace()

    def __call__(self, rows):
        covariance = numpy.cov(rows.T)
        cross = numpy.sqrt(numpy.linalg.eigvalsh(self.root @ covariance @ self.root).clip(0)).sum()
        return ((rows.mean(0) - self.mean) ** 2).sum() + covariance.trace() + self.trace - 2 * cross

    def without_bias(self, rows):
        """As metrics::frechet_bias takes it from halves."""
        halves = []
        for block in (len(rows) // 2, len(rows) // 4, len(rows) // 8):
            odd = numpy.arange(len(rows)) // block % 2 == 1
            halves += [self(rows[odd]), self(rows[~odd])]
        return 2 * self(rows) - numpy.mean(halves)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sdg")
    parser.add_argument("run")
    parser.add_argument("--guidance", nargs=2, default=["1", "1.5"])
    parser.add_argument("--count", type=int, default=3840)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "few-images")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    distance = Distance(features(load_file(ROOT / "configs/digits.safetensors")["images"]))
    rows = []
    for guidance in args.guidance:
        path = args.out / f"guidance-{guidance}.npz"
        if not path.exists():
            subprocess.run([args.sdg, "sample", "--run", args.run, "--untuned", "--guidance", guidance, "--count", str(args.count), "--npz", str(path)],
                           check=True)
        drawn = numpy.load(path)
        rows.append(features(numpy.ascontiguousarray(drawn["arr_0"][..., 0])))  # three equal channels
        conditions = drawn["arr_1"]
    print(f"all {len(conditions)}: " + ", ".join(f"guidance {g} {distance(x):.2f}" for g, x in zip(args.guidance, rows)))
    print("| images | conditions |", " | ".join(f"guidance {g} | less its bias" for g in args.guidance), "| difference | less its bias |")
    print("| ---: | --- |" + " ---: |" * 6)
    for count in (96, 192, 384):
        for even in (False, True):
            sets = []
            for number in range(20):
                random = numpy.random.default_rng(number)
                chosen = numpy.arange(number * count, (number + 1) * count) % len(conditions)
                if even:
                    order = numpy.lexsort((random.random(len(conditions)), conditions))
                    turns = numpy.argsort(numpy.argsort((numpy.arange(count) + 0.5) * 0.61803398874989485 % 1))
                    chosen = order[((turns + random.random()) / count * len(conditions)).astype(int)]
                own = [x[chosen] for x in rows]
                plain = [distance(x) for x in own]
                less = [distance.without_bias(x) for x in own]
                sets.append([plain[0], less[0], plain[1], less[1], plain[0] - plain[1], less[0] - less[1]])
            mean, deviation = numpy.mean(sets, 0), numpy.std(sets, 0, ddof=1)
            cells = " | ".join(f"{m:.2f} ± {d:.2f}" for m, d in zip(mean, deviation))
            print(f"| {count} | {'in even turns' if even else 'as drawn'} | {cells} |")


if __name__ == "__main__":
    sys.exit(main())
