#!/usr/bin/env python3
"""The table and the picture of docs/sampling.md: settings of one run -> distance, evaluations, seconds.

tools/sampling_table.py RUN OUT.md [--count 1500] [--seeds 0,1,2] [--only WORD] [--short] [--unguided] [--reference FILE.npz]
                        [--extractor-weights FILE] [-- options that all share, e.g. --guidance 1.5]

Each setting is drawn with `sdg sample --npz --json`, whose seconds (drawing alone, OMP_NUM_THREADS threads) count, and
measured with `sdg eval-fid --images`, against --reference (of `sdg ref-stats`) or the run's training data. Evaluations of
the network are those of one image (`sdg sample --trace`); a guided one asks for both conditions in one pass. --unguided
leaves out what spares guidance, --short most rows. OUT.svg is drawn beside OUT.md. SDG names the program.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))


def output(words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def evaluations(run, words, folder):
    strip = os.path.join(folder, "trace.png")
    told = subprocess.run([PROGRAM, "sample", "--run", run, "--trace", strip] + words, check=True, capture_output=True, text=True)
    return int(re.search(r"wrote (\d+) predictions", told.stdout + told.stderr)[1])


def settings(run, shared, guided):
    def fitted(steps):
        return output([PROGRAM, "fit-grid", "--run", run, "--steps", str(steps)] + shared).strip()
    rows = [("dopri5, rtol = atol = 1e-5 (the paper's code)", "--solver dopri5"),
            ("dopri5, 1e-3", "--solver dopri5 --rtol 1e-3 --atol 1e-3")]
    for solver in ("euler", "adams_bashforth", "dpmpp_2m", "unipc"):
        for steps in (5, 6, 8, 10, 15, 25):
            rows.append((f"{solver}, {steps} steps", f"--solver {solver} --steps {steps}"))
    for steps in (4, 5, 10):
        rows.append((f"heun, {steps} steps", f"--solver heun --steps {steps}"))
    for steps in (5, 6, 8, 10):
        times = fitted(steps)
        for solver in ("euler", "adams_bashforth", "unipc"):
            rows.append((f"{solver}, {steps} steps, fitted grid", f"--solver {solver} --grid list --times {times}"))
    for steps in (6, 8, 10) if guided else ():
        for begin in ("0.2", "0.4"):
            rows.append((f"euler, {steps} steps, unguided before {begin}",
                         f"--solver euler --steps {steps} --guidance-interval {begin} 1"))
        rows.append((f"euler, {steps} steps, guidance every 2nd", f"--solver euler --steps {steps} --guidance-every 2"))
        rows.append((f"euler, {steps} steps, guidance every 2nd, none between",
                     f"--solver euler --steps {steps} --guidance-every 2 --guidance-between none"))
    rows.append(("euler_maruyama, 50 steps", "--solver euler_maruyama --steps 50"))
    rows.append(("stochastic_heun, 25 steps", "--solver stochastic_heun --steps 25"))
    rows.append(("edm, 15 steps, churn 10", "--solver edm --grid karras --steps 15 --churn 10"))
    rows.append(("ddpm, 50 steps", "--solver ddpm --steps 50"))
    return rows


SHORT = {"dopri5, rtol", "euler, 5 steps", "euler, 10 steps", "euler, 25 steps", "adams_bashforth, 5", "adams_bashforth, 10", "dpmpp_2m, 5",
         "dpmpp_2m, 10", "unipc, 5 steps", "unipc, 6 steps", "unipc, 10 steps", "heun, 5", "euler, 10 steps, unguided before 0.4", "ddpm"}


def chart(rows, path):
    """Distance over seconds, both logarithmic, as SVG: a dot a setting, coloured by the first word of its name."""
    import math
    width, height, left, bottom = 760, 420, 60, 40
    xs, ys = [math.log10(row[2]) for row in rows], [math.log10(row[1]) for row in rows]
    x0, x1, y0, y1 = min(xs) - .05, max(xs) + .05, min(ys) - .03, max(ys) + .03
    kinds = sorted({row[0].split(",")[0].split()[0] for row in rows})
    colours = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]

    def place(x, y):
        return left + (x - x0) / (x1 - x0) * (width - left - 170), (y1 - y) / (y1 - y0) * (height - bottom)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for ticks, is_x in (([.1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200], True), ([1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100], False)):
        for tick in ticks:
            value = math.log10(tick)
            if not (x0 if is_x else y0) <= value <= (x1 if is_x else y1):
                continue
            x, y = place(value, y0) if is_x else place(x0, value)
            x2, y2 = place(value, y1) if is_x else place(x1, value)
            out.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>')
            out.append(f'<text x="{x - (8 if is_x else 30):.1f}" y="{y + (16 if is_x else 4):.1f}">{tick:g}</text>')
    for name, distance, seconds in rows:
        x, y = place(math.log10(seconds), math.log10(distance))
        colour = colours[kinds.index(name.split(",")[0].split()[0]) % len(colours)]
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{name}: {distance:.3f}, {seconds:.2f} s</title></circle>')
    for i, kind in enumerate(kinds):
        out.append(f'<circle cx="{width - 155}" cy="{20 + 18 * i}" r="4" fill="{colours[i % len(colours)]}"/>')
        out.append(f'<text x="{width - 145}" y="{24 + 18 * i}">{kind}</text>')
    out.append(f'<text x="{left}" y="{height - 6}">seconds (drawing)</text>')
    out.append(f'<text x="12" y="{height / 2}" transform="rotate(-90 12 {height / 2})">distance</text></svg>')
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def main():
    arguments, shared = sys.argv[1:], []
    if "--" in arguments:
        shared = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]

    def option(name, default):
        return arguments[arguments.index(name) + 1] if name in arguments else default
    run, out = arguments[0], arguments[1]
    seeds, count, only = option("--seeds", "0").split(","), option("--count", "1500"), option("--only", "")
    rows = []
    lines = ["| setting | distance | evaluations | seconds |", "| --- | ---: | ---: | ---: |"]
    reference = [word for flag in ("--reference", "--extractor-weights") if flag in arguments for word in (flag, option(flag, ""))]
    with tempfile.TemporaryDirectory() as folder:
        for name, words in settings(run, shared, "--unguided" not in arguments):
            if only not in name or ("--short" in arguments and not any(name.startswith(each) for each in SHORT)):
                continue
            distances, seconds = [], []
            for seed in seeds:
                npz = os.path.join(folder, "drawn.npz")
                drawn = json.loads(output([PROGRAM, "sample", "--run", run, "--npz", npz, "--json", "--count", count, "--seed", seed]
                                          + shared + words.split()))
                found = json.loads(output([PROGRAM, "eval-fid", "--run", run, "--images", npz, "--json"] + reference))
                distances.append(found["value"])
                seconds.append(drawn["seconds"])
                os.remove(npz)
            asked = evaluations(run, shared + words.split(), folder)
            row = f"| {name} | {' '.join(f'{d:.4f}' for d in distances)} | {asked} | {' '.join(f'{s:.2f}' for s in seconds)} |"
            rows.append((name, sum(distances) / len(distances), min(seconds)))
            chart(rows, os.path.splitext(out)[0] + ".svg")
            print(row, flush=True)
            lines.append(row)
            with open(out, "w") as file:
                file.write("\n".join(lines) + "\n")


main()
