#!/usr/bin/env python3
"""Draws one set of images in many ways and compares their bytes; then peak memory over batch and count.

tools/sample_hash_test.py RUN [--count 200] [--memory 64,512,2048] [--ranks 1,2] [-- further options of sdg sample, e.g. --solver ddpm --steps 20]

For batch 1, 7 and 64, for 1, 2 and 3 threads and over 1 and 2 ranks the folders of PNG and of WebP files and the .npz are drawn anew;
then all once more, killed (SIGKILL) three times at random moments of the time that the drawing takes and gone on with.
All hashes must agree. Prints Markdown tables. SDG names the program, default build/release/sdg. Needs nothing but Python.
"""
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))

KINDS = {"png": ["--out"], "webp": ["--format", "webp", "--out"], "npz": ["--npz"]}


def target_of(folder, name, kind):
    return os.path.join(folder, f"{name}.npz" if kind == "npz" else f"{name} as {kind}")


def remove(path):
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def digest(path):
    total = hashlib.sha256()
    names = sorted(os.listdir(path)) if os.path.isdir(path) else [""]
    for name in names:
        total.update(name.encode())
        with open(os.path.join(path, name) if name else path, "rb") as file:
            total.update(file.read())
    return total.hexdigest()[:16]


def start(command, threads):
    return subprocess.Popen(command, env=dict(os.environ, OMP_NUM_THREADS=str(threads)), stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


def finish(process, command):
    """Peak memory of the process alone, in MiB."""
    words = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{words}")
    return usage.ru_maxrss / 1024


def main():
    arguments = sys.argv[1:]
    further = []
    if "--" in arguments:
        further = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]

    def option(flag, default):
        return arguments[arguments.index(flag) + 1] if flag in arguments else default
    if not arguments:
        sys.exit(__doc__)
    count = option("--count", "200")
    draws = ["sample", "--run", arguments[0]] + further
    chance = random.Random(0)
    hashes, took = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        def draw(name, more, threads, kills=0, ranks=1):
            for kind, flags in KINDS.items():
                target = target_of(folder, name, kind)
                launch = [PROGRAM] + (["launch", "-n", str(ranks)] if ranks > 1 else [])
                command = launch + draws + ["--count", count] + more + flags + [target]
                began, interrupted = time.time(), 0
                for _ in range(4 * kills):
                    if interrupted == kills:
                        break
                    process = start(command, threads)
                    time.sleep(chance.uniform(0.2, 0.9) * took["threads 1 " + kind])
                    ended = process.poll() is not None
                    process.kill()
                    process.wait()
                    interrupted += not ended
                    if ended:  # the set is whole: once more from nothing
                        remove(target)
                process = start(command, threads)
                finish(process, command)
                took[f"{name} {kind}"] = time.time() - began
                hashes[f"{name} {kind}"] = digest(target)
                what = f"{name}, {interrupted} of {kills} while it ran" if kills else name
                print(f"| {what} | {kind} | `{hashes[f'{name} {kind}']}` | {time.time() - began:.1f} |", flush=True)

        print(f"| {count} images | into | hash | s |\n| --- | --- | --- | ---: |")
        for threads in (1, 2, 3):
            draw(f"threads {threads}", [], threads)
        for batch in ("1", "7", "64"):
            draw(f"batch {batch}", ["--batch", batch], 1)
        for ranks in option("--ranks", "1,2").split(","):
            draw(f"ranks {ranks}", [], 1, ranks=int(ranks))
        draw("killed three times", ["--batch", "16"], 1, kills=3)
        for kind in KINDS:
            found = {value for key, value in hashes.items() if key.endswith(kind)}
            if len(found) != 1:
                sys.exit(f"{kind}: {len(found)} different sets")
        print("\none set of images, however it was drawn\n")

        print("| peak memory, MiB | batch | png | webp | npz |\n| --- | ---: | ---: | ---: | ---: |")
        sizes = option("--memory", "64,512,2048").split(",")
        cases = [(each, "64") for each in sizes if each] + [(sizes[-1], batch) for batch in ("16", "256") if sizes[-1]]
        for images, batch in cases:
            peaks = []
            for kind, flags in KINDS.items():
                target = target_of(folder, "memory", kind)
                command = [PROGRAM] + draws + ["--count", images, "--batch", batch] + flags + [target]
                peaks.append(finish(start(command, 1), command))
                remove(target)
            print(f"| {images} images | {batch} | {' | '.join(f'{peak:.0f}' for peak in peaks)} |", flush=True)


main()
