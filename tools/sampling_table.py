#!/usr/bin/env python3
"""The tables and pictures of docs/sampling.md: settings -> distance, network calls, CPU seconds, beside dopri5 at 1e-5.

tools/sampling_table.py RUN[,RUN...] OUT.md [--count 1500] [--seeds 0] [--rows all|short|fast|paper] [--add "NAME=OPTIONS"]... [--only WORD]
                        [--title TEXT] [--reference FILE] [--extractor NAME] [--extractor-weights FILE] [-- options that all share]

Runs are the same training under other seeds; each is drawn from under every sampling seed of --seeds with `sdg sample --untuned
--npz --json`, and measured with `sdg eval-fid --images`, against --reference (of `sdg ref-stats`) or the run's training data.
Seconds are the CPU's, of drawing and writing, on one thread (OMP_NUM_THREADS): other load disturbs them little (by how much the
spread of one setting over runs says), and on an idle machine they are the time that passes. Network calls are those of one
image; a guided evaluation makes two. Beside the means stand both as ratios to dopri5's of the same run and seed: a 95 % interval
over the runs, or over the seeds of one run (Student's t of the logarithm). --rows short leaves most rows out, fast leaves dopri5 and
the fast ones; --add gives rows of one's own. Every measured value is kept in OUT.json at once: what is there is not measured
again, so a stopped table goes on. OUT.svg is drawn beside. SDG names the program. Needs nothing but Python.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

import sampling_chart

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))
PAPER = "dopri5, rtol = atol = 1e-5 (as the paper's code)"
# 97.5 % of Student's t with 1, 2, ... degrees of freedom.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]
SHORT = ["euler, 5 steps", "euler, 10 steps", "euler, 25 steps", "adams_bashforth, 5 steps", "adams_bashforth, 10 steps",
         "adams_bashforth, 25 steps", "dpmpp_2m, 5 steps", "dpmpp_2m, 10 steps", "dpmpp_2m, 25 steps", "unipc, 5 steps", "unipc, 6 steps",
         "unipc, 10 steps", "unipc, 25 steps", "heun, 5 steps", "heun, 10 steps", "euler, 10 steps, unguided before 0.4",
         "euler, 10 steps, guidance every 2nd, none between", "ddpm, 50 steps", "euler_maruyama, 50 steps"]
FAST = ["adams_bashforth, 5 steps", "dpmpp_2m, 8 steps", "unipc, 5 steps", "unipc, 6 steps", "unipc, 8 steps"]


def output(words):
    done = subprocess.run(words, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", **os.environ})
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def settings(guided):
    """Name -> options; {fitted:N} stands for N steps of the grid that is fitted to the run."""
    rows = {PAPER: "--solver dopri5", "dopri5, 1e-3": "--solver dopri5 --rtol 1e-3 --atol 1e-3"}
    for solver in ("euler", "adams_bashforth", "dpmpp_2m", "unipc"):
        for steps in (5, 6, 8, 10, 15, 25):
            rows[f"{solver}, {steps} steps"] = f"--solver {solver} --steps {steps}"
    for steps in (4, 5, 10):
        rows[f"heun, {steps} steps"] = f"--solver heun --steps {steps}"
    for steps in (5, 6, 8, 10):
        for solver in ("euler", "adams_bashforth", "dpmpp_2m", "unipc"):
            rows[f"{solver}, {steps} steps, fitted grid"] = f"--solver {solver} --grid list --times {{fitted:{steps}}}"
    for steps in (6, 8, 10) if guided else ():
        for begin in ("0.2", "0.4"):
            rows[f"euler, {steps} steps, unguided before {begin}"] = f"--solver euler --steps {steps} --guidance-interval {begin} 1"
        rows[f"euler, {steps} steps, guidance every 2nd"] = f"--solver euler --steps {steps} --guidance-every 2"
        rows[f"euler, {steps} steps, guidance every 2nd, none between"] = f"--solver euler --steps {steps} --guidance-every 2 --guidance-between none"
    rows["euler_maruyama, 50 steps"] = "--solver euler_maruyama --steps 50"
    rows["stochastic_heun, 25 steps"] = "--solver stochastic_heun --steps 25"
    rows["edm, 15 steps, churn 10"] = "--solver edm --grid karras --steps 15 --churn 10"
    rows["ddpm, 50 steps"] = "--solver ddpm --steps 50"
    return rows


def interval(ratios):
    """Geometric mean and 95 % interval of one ratio a run."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.mean(logs)
    half = T[len(logs) - 2] * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def spelled(found, digits):
    middle, low, high = found
    return f"{middle:.{digits}f}" if low == high else f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


class Table:
    def __init__(self, runs, seeds, path):
        self.runs, self.seeds, self.path = runs, seeds, path
        self.measured = {}
        if os.path.exists(path):
            with open(path) as file:
                self.measured = json.load(file)

    def pairs(self):
        return [(run, seed) for run in self.runs for seed in self.seeds]

    def value(self, name, run, seed):
        return self.measured.get(f"{name} | {os.path.basename(os.path.normpath(run))} | {seed}")

    def keep(self, name, run, seed, value):
        self.measured[f"{name} | {os.path.basename(os.path.normpath(run))} | {seed}"] = value
        with open(self.path + ".part", "w") as file:
            json.dump(self.measured, file, indent=0)
        os.replace(self.path + ".part", self.path)

    def ratios(self, name, key, inverse=False):
        """To dopri5's of the same run and seed: for each run the mean over seeds; of one run, each seed's."""
        logs = [[math.log(self.value(name, run, seed)[key] / self.value(PAPER, run, seed)[key]) for seed in self.seeds] for run in self.runs]
        means = [statistics.mean(each) for each in logs] if len(logs) > 1 else logs[0]
        return [math.exp(-each if inverse else each) for each in means]

    def row(self, name):
        values = [self.value(name, *pair) for pair in self.pairs()]
        out = dict(name=name, distance=statistics.mean(v["distance"] for v in values), calls=statistics.mean(v["calls"] for v in values),
                   seconds=statistics.mean(v["cpu_seconds"] for v in values))
        if all(self.value(PAPER, *pair) for pair in self.pairs()):
            out["distance_ratio"] = interval(self.ratios(name, "distance"))
            out["time_ratio"] = interval(self.ratios(name, "cpu_seconds", inverse=True))
        return out


def write(table, names, path, title):
    names = [name for name in names if all(table.value(name, *pair) for pair in table.pairs())]
    rows = [table.row(name) for name in names]
    lines = ["| setting | distance | of dopri5's | network calls | CPU s | dopri5's time / its |", "| --- | ---: | --- | ---: | ---: | --- |"]
    for row in rows:
        beside = [spelled(row["distance_ratio"], 3), spelled(row["time_ratio"], 1)] if "time_ratio" in row else ["", ""]
        if row["name"] == PAPER:
            beside = ["1", "1"]
        lines.append(f"| {row['name']} | {row['distance']:.4f} | {beside[0]} | {row['calls']:.4g} | {row['seconds']:.2f} | {beside[1]} |")
    reached = [row["name"] for row in rows if "time_ratio" in row and row["name"] != PAPER and row["distance_ratio"][2] <= 1.02 and row["time_ratio"][1] >= 16]
    lines += ["", f"Within 2 % of dopri5's distance or below in a sixteenth of its time or less, by both intervals: {'; '.join(reached) or 'none'}."]
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    if rows:
        sampling_chart.draw([(row["name"], row["distance"], row["seconds"], row["name"] == PAPER) for row in rows], os.path.splitext(path)[0] + ".svg", title)


def main():
    arguments, shared = sys.argv[1:], []
    if "--" in arguments:
        shared = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]
    if len(arguments) < 2:
        sys.exit(__doc__)

    def option(name, default):
        return arguments[arguments.index(name) + 1] if name in arguments else default
    runs, out = arguments[0].split(","), arguments[1]
    seeds, count = option("--seeds", "0").split(","), option("--count", "1500")
    rows = settings("--unguided" not in arguments)
    kept = {"all": None, "short": SHORT, "fast": FAST, "paper": []}[option("--rows", "all")]
    if kept is not None:
        rows = {name: words for name, words in rows.items() if name == PAPER or any(name == each or name == each + ", fitted grid" for each in kept)}
    for i, word in enumerate(arguments):
        if word == "--add":
            name, words = arguments[i + 1].split("=", 1)
            rows[name] = words
    rows = {name: words for name, words in rows.items() if option("--only", "") in name}
    against = [word for flag in ("--reference", "--extractor", "--extractor-weights") if flag in arguments for word in (flag, option(flag, ""))]
    table, grids = Table(runs, seeds, os.path.splitext(out)[0] + ".json"), {}

    def told(words, run):
        while "{fitted:" in words:
            steps = words.split("{fitted:")[1].split("}")[0]
            if (run, steps) not in grids:
                grids[run, steps] = output([PROGRAM, "fit-grid", "--run", run, "--steps", steps] + shared).strip()
            words = words.replace(f"{{fitted:{steps}}}", grids[run, steps])
        return words.split()
    with tempfile.TemporaryDirectory() as folder:
        npz = os.path.join(folder, "drawn.npz")
        for name, words in rows.items():
            for run, seed in table.pairs():
                if table.value(name, run, seed):
                    continue
                drawn = json.loads(output([PROGRAM, "sample", "--run", run, "--untuned", "--npz", npz, "--json", "--count", count, "--seed", seed]
                                          + shared + told(words, run)))
                found = json.loads(output([PROGRAM, "eval-fid", "--run", run, "--images", npz, "--json"] + against))
                os.remove(npz)
                table.keep(name, run, seed, dict(distance=found["value"], calls=drawn["network_calls_per_image"],
                                                 seconds=drawn["seconds"], cpu_seconds=drawn["cpu_seconds"]))
                print(f"{name}, {run}, seed {seed}: {found['value']:.4f}, {drawn['cpu_seconds']:.2f} s", flush=True)
            write(table, rows, out, option("--title", f"{count} images, {len(runs)} run(s)"))
    with open(out) as file:
        print(file.read(), end="")


main()
