#!/usr/bin/env python3
"""Draws one set of images in many ways and compares their bytes: batches, threads, and after being killed three times.

tools/sample_hash_test.py RUN [--count 200] [-- further options of sdg sample, e.g. --solver ddpm --steps 20]

For batch 1, 7 and 64 and for 1, 2 and 3 threads the folder of PNG files and the .npz are drawn anew; then both once more,
killed (SIGKILL) three times at random moments and gone on with. All hashes must agree. SDG names the program, default
build/release/sdg. Needs nothing but Python.
"""
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))


def digest(path):
    total = hashlib.sha256()
    names = sorted(os.listdir(path)) if os.path.isdir(path) else [""]
    for name in names:
        total.update(name.encode())
        total.update(open(os.path.join(path, name) if name else path, "rb").read())
    return total.hexdigest()[:16]


def main():
    arguments = sys.argv[1:]
    further = []
    if "--" in arguments:
        further = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]
    count = "200"
    if "--count" in arguments:
        count = arguments[arguments.index("--count") + 1]
    if not arguments:
        sys.exit(__doc__)
    base = [PROGRAM, "sample", "--run", arguments[0], "--count", count] + further
    chance = random.Random(0)
    hashes = {}
    with tempfile.TemporaryDirectory() as folder:
        def draw(name, more, threads, kills=0):
            for kind, flag in (("png", "--out"), ("npz", "--npz")):
                target = os.path.join(folder, f"{name}.{kind}")
                command = base + more + [flag, target]
                environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
                began = time.time()
                for _ in range(kills):
                    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
                    time.sleep(chance.uniform(0.2, 1.5))
                    process.kill()
                    process.wait()
                subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=True)
                hashes[f"{name} {kind}"] = digest(target)
                print(f"{name:24} {kind}  {hashes[f'{name} {kind}']}  {time.time() - began:.1f} s", flush=True)
        for batch in ("1", "7", "64"):
            draw(f"batch {batch}", ["--batch", batch], 1)
        for threads in (1, 2, 3):
            draw(f"threads {threads}", [], threads)
        draw("killed three times", ["--batch", "16"], 1, kills=3)
    for kind in ("png", "npz"):
        found = {value for key, value in hashes.items() if key.endswith(kind)}
        if len(found) != 1:
            sys.exit(f"{kind}: {len(found)} different sets")
    print("one set of images")


main()
