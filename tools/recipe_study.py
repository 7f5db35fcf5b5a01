#!/usr/bin/env python3
"""What pays per processor second: one factor of training at a time, distance over the seconds of training.

  tools/recipe_study.py CONFIG.yaml OUT [--network transformer|unet] [--seeds 0,1,2] [--guidance 1,1.5] [--set KEY=VALUE …] [--only NAME,…]

Every variant is trained with every seed with the labels of the images as conditions, so that no luck of clusters is in it, and
measured six times on the way at sample.guidance 1 and at the end at each of --guidance with an interval. Prints Markdown and
draws OUT/chart.svg. What is in OUT already is not made again; variants may be trained by several processes (--only, --table for none).
Training seconds are steps times images a step over the run's median rate, of one thread, so measuring is not in them.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import guidance_chart

HERE = Path(__file__).resolve().parent
PROGRAM = os.environ.get("SDG", str(HERE.parent / "build/release/sdg"))
TRAINING = {
    "as shipped": "",
    "time: logit-normal": "train.time=logit_normal",
    "time: logit-normal of mean -0.5": "train.time=logit_normal train.time_mean=-0.5",
    "time: shift 2": "train.time_shift=2",
    "loss: min-SNR": "train.loss_on=min_snr",
    "data predicted and the loss on velocity": "model.prediction=data train.loss_on=velocity",
    "learning rate x 2": "LR*2",
    "learning rate / 2": "LR*0.5",
    "weight decay 0.05 but of norms and biases": "train.weight_decay=0.05 train.no_decay=norms_biases",
}
TOKENS = {
    "QK-norm": "model.qk_norm=true",
    "RMSNorm": "model.rms_norm=true",
    "SwiGLU": "model.swiglu=true",
    "rotary": "model.rotary=true",
    "all four (LightningDiT)": "model.qk_norm=true model.rms_norm=true model.swiglu=true model.rotary=true",
    "dispersive loss 0.25": "train.dispersive=0.25",
    "aligned with its own average": "align.extractor=self align.hidden=256",
}
VARIANTS = {"transformer": {**TRAINING, **TOKENS}, "unet": TRAINING}
LOOKS = 6


def settings(values):
    return [word for value in values for word in ("--set", value)]


def sdg(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(f"{PROGRAM} {' '.join(map(str, words))}\n{done.stderr[-2000:]}")
    return done.stdout


def options(a):
    """Of a configuration as the program understands it: "section.key" -> text."""
    found, section = {}, ""
    for line in sdg("config", a.config, *settings(a.set)).splitlines():
        key, _, value = line.split("#")[0].partition(":")
        if not line.startswith(" "):
            section = key.strip()
        found[f"{section}.{key.strip()}"] = value.strip()
    return found


def run_of(a, name, seed):
    return a.out / f"{''.join(c if c.isalnum() or c in '.-' else '-' for c in name)}-{seed}"


def make(a, name, changed, seed):
    """Trains, measuring on the way, and measures at the end; what is there already stays."""
    run = run_of(a, name, seed)
    changed = [f"train.lr={a.lr * float(s[3:]):g}" if s.startswith("LR*") else s for s in changed.split()]
    if not (run / "done").exists():
        always = (f"seed={seed}", "condition.source=label", "device=cpu", "train.picture_every=0", "train.save_every=100000", "train.log_every=20",
                  "sample.solver=unipc", f"sample.steps={a.calls}", "sample.guidance=1", f"eval.every={a.steps // LOOKS}")
        sdg("train", "--config", a.config, "--run", run, *settings([*always, *a.set, *changed]))
        (run / "done").touch()
    for w in a.guidance:
        if not (kept := run / f"measured-{w:g}.json").exists():
            sdg("eval", "--run", run, "--metrics", "fid,fid-interval", "--guidance", w, "--device", "cpu", "--save", kept)


def course(a, name):
    """Seconds of training -> distances of the seeds; and seconds a step."""
    found, rates = {}, []
    for seed in a.seeds:
        rows = [json.loads(line) for line in (run_of(a, name, seed) / "metrics.jsonl").read_text().splitlines()]
        rates.append(statistics.median(row["images_per_second"] for row in rows if "images_per_second" in row))
        for row in rows:
            for value in (value for key, value in row.items() if key.startswith("FD-")):
                found.setdefault(row["step"], []).append(value)
    seconds = a.batch / statistics.fmean(rates)
    return {step * seconds: values for step, values in found.items()}, seconds


def measured(a, name, w):
    """Distances of the seeds, and their intervals."""
    found = []
    for seed in a.seeds:
        metrics = json.loads((run_of(a, name, seed) / f"measured-{w:g}.json").read_text())["metrics"]
        found.append(next(value for key, value in metrics.items() if key.endswith("-interval")))
    return found


def table(a, variants):
    last = a.guidance[-1]
    there = [name for name in variants if all((run_of(a, name, seed) / f"measured-{last:g}.json").exists() for seed in a.seeds)]
    print(f"| | {' | '.join(f'guidance {w:g}, by seed (mean)' for w in a.guidance)} | against the first row, by seed, at {a.guidance[0]:g} | ms a step |")
    print("| --- |" + " --- |" * len(a.guidance) + " --- | ---: |")
    curves, first = {}, None
    for name in there:
        cells = []
        for w in a.guidance:
            values = [each["value"] for each in measured(a, name, w)]
            cells.append(f"{', '.join(f'{v:.2f}' for v in values)} ({statistics.fmean(values):.2f})")
        values = [each["value"] for each in measured(a, name, a.guidance[0])]
        first = first or values
        curves[name], seconds = course(a, name)
        against = ", ".join(f"{100 * (v / b - 1):+.0f} %" for v, b in zip(values, first)) if values is not first else ""
        print(f"| {name} | {' | '.join(cells)} | {against} | {1000 * seconds:.0f} |")
    if there:
        spans = [(each["high"] - each["low"]) / each["value"] for name in there for each in measured(a, name, a.guidance[0])]
        print(f"\n95 % intervals over images at {a.guidance[0]:g} are {100 * statistics.fmean(spans):.0f} % of the value wide in the mean.")
        guidance_chart.draw(curves, a.out / "chart.svg", f"{a.config}, labels, guidance 1", "seconds of training, one thread")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", choices=VARIANTS, default="transformer")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--guidance", default="1,1.5")
    parser.add_argument("--calls", type=int, default=6, help="steps of UniPC")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", default="", help="variants to train, by name")
    parser.add_argument("--table", action="store_true", help="train nothing")
    a = parser.parse_args()
    a.seeds, a.guidance = a.seeds.split(","), [float(w) for w in a.guidance.split(",")]
    known = options(a)
    a.lr, a.steps, a.batch = float(known["train.lr"]), int(known["train.steps"]), int(known["train.batch"])
    variants = VARIANTS[a.network]
    wanted = a.only.split(",") if a.only else list(variants)
    for unknown in set(wanted) - set(variants):
        sys.exit(f"--only: no variant is called {unknown!r}; there are {', '.join(variants)}")
    for seed in a.seeds if not a.table else ():
        for name in wanted:
            make(a, name, variants[name], seed)
    table(a, variants)


if __name__ == "__main__":
    main()
