#!/usr/bin/env python3
"""The table of docs/sampling.md: settings of one run -> distance, evaluations an image, seconds.

tools/sampling_table.py RUN OUT.md [--count 1500] [--seeds 0,1,2] [--only WORD] [-- options that all share, e.g. --guidance 1.5]

Each setting is drawn with `sdg sample --npz --json`, whose seconds (drawing alone, OMP_NUM_THREADS threads) count, and
measured with `sdg eval-fid --images`. Evaluations are of the network an image; a guided one is two. SDG names the program.
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))


def output(words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def settings(run, shared):
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
    for steps in (6, 8, 10):
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


def main():
    arguments, shared = sys.argv[1:], []
    if "--" in arguments:
        shared = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]

    def option(name, default):
        return arguments[arguments.index(name) + 1] if name in arguments else default
    run, out = arguments[0], arguments[1]
    seeds, count, only = option("--seeds", "0").split(","), option("--count", "1500"), option("--only", "")
    lines = ["| setting | distance | seconds |", "| --- | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as folder:
        for name, words in settings(run, shared):
            if only not in name:
                continue
            distances, seconds = [], []
            for seed in seeds:
                npz = os.path.join(folder, "drawn.npz")
                drawn = json.loads(output([PROGRAM, "sample", "--run", run, "--npz", npz, "--json", "--count", count, "--seed", seed]
                                          + shared + words.split()))
                found = json.loads(output([PROGRAM, "eval-fid", "--run", run, "--images", npz, "--json"]))
                distances.append(found["value"])
                seconds.append(drawn["seconds"])
                os.remove(npz)
            row = f"| {name} | {' '.join(f'{d:.4f}' for d in distances)} | {' '.join(f'{s:.2f}' for s in seconds)} |"
            print(row, flush=True)
            lines.append(row)
            with open(out, "w") as file:
                file.write("\n".join(lines) + "\n")


main()
