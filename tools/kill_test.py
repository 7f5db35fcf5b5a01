#!/usr/bin/env python3
"""Kills a training run again and again and compares what comes of it with the undisturbed run, bit for bit.

tools/kill_test.py [--kills 50] [--seed 0] [--steps 300]

Two kills in three come at a random moment, one in three as soon as a file of a save is being written (SIGKILL each time).
After every second kill the newest checkpoint file is cut at a random place, which also cuts all of its other names. Then
the run is started again. After each kill every sound checkpoint in the folder must equal the one of the same step of the
undisturbed run, and in the end all of last, lowest_fd and metrics.jsonl must. SDG names the program, default
build/release/sdg. Needs nothing but Python.
"""
import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))


def command(run, steps):
    settings = ["device=cpu", "model.dim=32", "model.depth=3", "model.heads=2", f"train.steps={steps}", "train.batch=16", "train.warmup=1",
                "train.log_every=1", "train.save_every=5", "train.picture_every=0", "train.keep=1000000", "cluster.clusters=5",
                "eval.cluster_images=64", "eval.every=10", "eval.every_count=32", "sample.steps=2"]
    words = [PROGRAM, "train", "--config", os.path.join(HERE, "configs/digits.yaml"), "--run", run]
    for setting in settings:
        words += ["--set", setting]
    return words


def tensors(path):
    """Names, types, shapes and bytes; None for a file that is cut."""
    data = open(path, "rb").read()
    try:
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + length])
    except (struct.error, ValueError):
        return None
    metadata = header.pop("__metadata__")
    out = {"step": metadata["step"]}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if 8 + length + end > len(data):
            return None
        out[name] = (entry["dtype"], entry["shape"], data[8 + length + begin:8 + length + end])
    return out


def rows(run):
    out = []
    for line in open(os.path.join(run, "metrics.jsonl")):
        row = json.loads(line)
        row.pop("images_per_second", None)
        out.append(row)
    return out


def numbered(run):
    folder = os.path.join(run, "checkpoints")
    return sorted(name for name in os.listdir(folder) if name.startswith("step-") and name.endswith(".safetensors")) if os.path.isdir(folder) else []


def temporaries(run):
    folder = os.path.join(run, "checkpoints")
    return [name for name in os.listdir(folder) if ".tmp." in name] if os.path.isdir(folder) else []


def differing(a, b):
    return sorted(name for name in set(a) | set(b) if a.get(name) != b.get(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="sdg_kill.") as folder:
        whole = os.path.join(folder, "whole")
        begin = time.monotonic()
        done = subprocess.run(command(whole, arguments.steps), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        seconds = time.monotonic() - begin
        print(f"undisturbed: {arguments.steps} steps in {seconds:.1f} s, {len(numbered(whole))} checkpoints")
        kills = inside_saves = cuts = compared = resumes = runs = 0
        faults = []
        while kills < arguments.kills:
            run = os.path.join(folder, f"run{runs}")
            runs += 1
            finished, cut = False, {}  # sizes of the files that were cut: one killed early has not yet set them aside
            while not finished:
                process = subprocess.Popen(command(run, arguments.steps), stderr=subprocess.PIPE, text=True)
                resumes += 1
                if kills >= arguments.kills:
                    err = process.communicate()[1]
                    if process.returncode != 0:
                        faults.append(f"after {kills} kills: exit {process.returncode}: {err[-400:]}")
                    break
                moment = time.monotonic() + draw.uniform(0.05, max(1.0, seconds / 2))
                in_a_save = kills % 3 == 2
                while process.poll() is None and time.monotonic() < moment:
                    time.sleep(0.002)
                while in_a_save and process.poll() is None and not temporaries(run):
                    time.sleep(0.0001)
                finished = process.poll() is not None
                if not finished:
                    process.send_signal(signal.SIGKILL)
                err = process.communicate()[1]
                if finished:
                    if process.returncode != 0:
                        faults.append(f"kill {kills}: exit {process.returncode}: {err[-400:]}")
                    break
                kills += 1
                inside_saves += bool(temporaries(run))
                for name in numbered(run):
                    if cut.get(name) == os.path.getsize(os.path.join(run, "checkpoints", name)):
                        continue
                    found = tensors(os.path.join(run, "checkpoints", name))
                    wanted = tensors(os.path.join(whole, "checkpoints", name))
                    compared += 1
                    # Figures hold the lowest distance so far, which is lost where `lowest_fd` was cut.
                    if found is None or set(differing(found, wanted)) - {"figures"}:
                        faults.append(f"kill {kills}: {name} differs: {found and differing(found, wanted)}")
                if kills % 2 == 0 and len(numbered(run)) > 1:
                    newest = os.path.join(run, "checkpoints", numbered(run)[-1])
                    os.truncate(newest, draw.randrange(os.path.getsize(newest)))
                    cut[os.path.basename(newest)] = os.path.getsize(newest)
                    cuts += 1
            for name in ("last", "lowest_fd"):
                found = tensors(os.path.join(run, "checkpoints", name + ".safetensors"))
                wanted = tensors(os.path.join(whole, "checkpoints", name + ".safetensors"))
                if found is None or differing(found, wanted):
                    faults.append(f"{name} of run {runs} differs: {found and differing(found, wanted)}")
            if rows(run) != rows(whole):
                faults.append(f"metrics of run {runs} differ")
            if temporaries(run):
                faults.append(f"run {runs} keeps {temporaries(run)}")
            if os.path.exists(os.path.join(run, ".sdg.lock")):
                faults.append(f"run {runs} keeps its lock")
        print(f"{kills} kills ({inside_saves} inside a save), {cuts} newest files cut, {resumes} starts, {runs} runs; {compared} checkpoints compared")
        for line in faults:
            print("FAULT", line)
        print("all equal the undisturbed run" if not faults else f"{len(faults)} faults")
        return 1 if faults else 0


sys.exit(main())
