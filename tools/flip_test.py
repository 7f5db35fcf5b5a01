#!/usr/bin/env python3
"""Flips single bits of a checkpoint and counts how many are noticed: tools/flip_test.py [--flips 100] [--seed 0]

Trains a tiny run (SDG names the program, default build/release/sdg), then damages its checkpoint one bit at a time: one
in every region of the file (length, format, checksum and its name, every other metadata entry, header, padding, every
tensor) and the asked number at seeded random places. `sdg train --resume`, `sdg sample` and `sdg inspect --verify` must
each fail on every one. Needs nothing but Python.
"""
import argparse
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TINY = ("--set device=cpu --set model.dim=32 --set model.depth=3 --set model.heads=2 --set train.steps=6 --set train.batch=16 "
        "--set train.warmup=1 --set train.picture_every=0 --set cluster.clusters=5 --set eval.cluster_images=64 --set sample.steps=2").split()


def sdg(*arguments):
    program = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))
    return subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace")


def regions(data):
    """Name and byte range of every part of a safetensors file."""
    length = struct.unpack("<Q", data[:8])[0]
    header = data[8:8 + length]
    yield "length", 0, 8
    text = header.rstrip(b" ")
    if len(text) < length:
        yield "padding", 8 + len(text), 8 + length
    parsed = json.loads(header)
    for key, value in parsed["__metadata__"].items():
        raw_key, raw_value = json.dumps(key, ensure_ascii=False).encode(), json.dumps(value, ensure_ascii=False).encode()
        at = header.find(raw_key + b":" + raw_value)
        assert at >= 0, key
        yield f"name of {key}", 9 + at, 7 + at + len(raw_key)
        if value:
            yield f"value of {key}", 8 + at + len(raw_key) + 2, 7 + at + len(raw_key) + 1 + len(raw_value)
    for name, entry in parsed.items():
        if name == "__metadata__":
            at = header.find(b'"__metadata__"')
            yield "__metadata__", 9 + at, 9 + at + 12
            continue
        at = header.find(json.dumps(name).encode() + b":")
        yield f"header of {name}", 8 + at, 8 + at + len(re.match(rb'"[^"]*":\{[^}]*\}', header[at:]).group())
        begin, end = entry["data_offsets"]
        if end > begin:
            yield f"tensor {name}", 8 + length + begin, 8 + length + end


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="sdg_flip.") as folder:
        run = os.path.join(folder, "run")
        config = os.path.join(HERE, "configs/digits.yaml")
        done = sdg("train", "--config", config, "--run", run, *TINY)
        assert done.returncode == 0, done.stderr
        last = os.path.join(run, "checkpoints/last.safetensors")
        data = open(last, "rb").read()
        shutil.rmtree(os.path.join(run, "checkpoints"))
        os.mkdir(os.path.join(run, "checkpoints"))
        commands = {
            "train --resume": ["train", "--resume", run],
            "sample": ["sample", "--checkpoint", last, "--count", "1", "--out", os.path.join(folder, "out")],
            "inspect --verify": ["inspect", last, "--verify"],
        }
        with open(last, "wb") as file:
            file.write(data)
        for name, command in commands.items():
            done = sdg(*command)
            assert done.returncode == 0, f"{name} fails on the sound file: {done.stderr}"
        shutil.rmtree(os.path.join(folder, "out"))
        shutil.rmtree(os.path.join(run, "checkpoints"))
        os.mkdir(os.path.join(run, "checkpoints"))
        flips = [("random", draw.randrange(len(data) * 8)) for _ in range(arguments.flips)]
        for name, begin, end in regions(data):
            flips.append((name, draw.randrange(begin * 8, end * 8)))
        noticed = dict.fromkeys(commands, 0)
        missed = []
        for name, bit in flips:
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            for command, words in commands.items():
                with open(last, "wb") as file:
                    file.write(damaged)
                done = sdg(*words)
                told = done.returncode == 1 and "last.safetensors" in done.stderr.splitlines()[-1]
                unchanged = open(last, "rb").read() == damaged
                if told and unchanged and os.listdir(os.path.dirname(last)) == ["last.safetensors"]:
                    noticed[command] += 1
                else:
                    missed.append(f"{command}: {name}, bit {bit % 8} of byte {bit // 8}: exit {done.returncode}: {done.stderr[-300:]}")
        print(f"{len(data)} bytes; {arguments.flips} random flips and one in each of {len(flips) - arguments.flips} regions")
        for command, count in noticed.items():
            print(f"{command}: noticed {count} of {len(flips)}")
        for line in missed:
            print("MISSED", line)
        return 1 if missed else 0


sys.exit(main())
