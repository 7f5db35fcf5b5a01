#!/usr/bin/env python3
"""Measures what docs/scale.md says of ranks on this machine: equal weights and assignments on 1, 2 and 4 ranks, memory, bytes and time a step, a rank
killed and one stopped, restarts with another number of ranks. Prints the tables as Markdown.
   .venv/bin/python tools/ranks_check.py [PROGRAM [PARTS]]      default build/release/sdg, all parts but overlap (equality costs memory model losses going_on overlap): half an hour
   SDG_BEFORE=OTHER .venv/bin/python tools/ranks_check.py PROGRAM overlap            as root, with tc: a step over a slow network, of two programs"""
import ctypes
import json
import math
import os
import pathlib
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time

from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
SDG = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/sdg").resolve()
STEPS = 50
SMALL = 18  # exchanges of a few bytes a step, with two views and clustering
DIGITS = ["--config", str(ROOT / "configs/digits.yaml"), "--set", "device=cpu", "--set", "train.picture_every=0", "--set", "condition.change=0.4"]
# The same with 19 M parameters, to see what bytes cost.
LARGE = DIGITS + [f"--set={o}" for o in ("model.dim=512", "model.depth=5", "model.heads=8", "train.batch=16", "train.shard=4")]
# And with as many shards a rank as an ordinary batch has; no clustering, so that no step looks through the average.
SHARDS = LARGE + ["--set", "condition.source=none", "--set", "train.batch=32"]
# One shard for all ranks: as GPUs do, each adds up its own images, and sends the gradient while the backward pass fills it.
OWN_SUMS = SHARDS + [f"--set={o}" for o in ("train.shard=32", "train.save_every=1000", "sample.count=1", "sample.steps=1")]


def command(ranks, run, options, patience=None, restarts=0):
    words = [str(SDG)]
    if ranks > 1:
        words += ["launch", "-n", str(ranks)] + (["--restarts", str(restarts)] if restarts else [])
    words += ["train", "--run", str(run)] + options
    return words + (["--patience", str(patience)] if patience else [])


def start(words):
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def processes_of(program):
    """{rank: process id} of a started command; {0: itself} where it is one process."""
    out = {}
    for child in pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split():
        try:
            variables = dict(v.split("=", 1) for v in pathlib.Path(f"/proc/{child}/environ").read_text().split("\0") if "=" in v)
        except OSError:
            continue
        if "RANK" in variables:
            out[int(variables["RANK"])] = int(child)
    return out or {0: program.pid}


def peak(process):
    try:
        for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


def loopback_bytes():
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split()[1])
    return 0


def train(ranks, run, options):
    """Runs to the end; seconds, peak MB of the largest rank, bytes over the loopback device."""
    seconds, peaks, moved = train_and_watch(ranks, run, options)
    return seconds, max(peaks.values()), moved


def train_and_watch(ranks, run, options):
    """The same with the peak of each rank."""
    before, begin, peaks = loopback_bytes(), time.time(), {0: 0}
    program = start(command(ranks, run, options))
    while program.poll() is None:
        try:
            for rank, process in processes_of(program).items():
                peaks[rank] = max(peaks.get(rank, 0), peak(process))
        except OSError:
            pass
        time.sleep(0.05)
    error = program.stderr.read()
    if program.returncode != 0:
        sys.exit(f"{' '.join(command(ranks, run, options))} ended with {program.returncode}: {error}")
    return time.time() - begin, peaks, loopback_bytes() - before


def checkpoint(run):
    return load_file(run / "checkpoints/last.safetensors")


def difference(a, b):
    """Largest difference of weights, and of every tensor, of two runs; and do all images have the same cluster."""
    a, b = checkpoint(a), checkpoint(b)
    assert a.keys() == b.keys()
    far = {name: (a[name].double() - b[name].double()).abs().max().item() if a[name].numel() else 0 for name in a}
    weights = max(value for name, value in far.items() if name.startswith(("model.", "ema.")))
    same = bool((a["agreement.memory"] == b["agreement.memory"]).all())
    return weights, max(far.values()), same


def seconds_a_step(ranks, folder, options):
    """From two lengths, so that the start does not count."""
    short, long = 5, 25
    times, moved = [], []
    for steps in (short, long):
        seconds, memory, count = train(ranks, folder / f"{ranks}-{steps}-{len(list(folder.iterdir()))}", options + ["--set", f"train.steps={steps}"])
        times.append(seconds)
        moved.append(count)
    return (times[1] - times[0]) / (long - short), (moved[1] - moved[0]) / (long - short), memory


def wait_for_step(run, program):
    while not (run / "checkpoints/last.safetensors").exists():
        if program.poll() is not None:
            sys.exit(f"ended before its time: {program.stderr.read()}")
        time.sleep(0.005)


def lost(folder, number, patience):
    """One of two ranks is killed or stopped after the first checkpoint: seconds to the end, the line, the weights after going on."""
    run = folder / f"lost-{number.name}"
    options = DIGITS + ["--set", "train.steps=400", "--set", "train.save_every=10"]
    program = start(command(2, run, options, patience))
    wait_for_step(run, program)
    os.kill(processes_of(program)[1], number)
    begin = time.time()
    error = program.communicate()[1]
    seconds = time.time() - begin
    line = [each for each in error.splitlines() if each.startswith("sdg: ")][-1]
    code = program.returncode
    train(2, run, options)
    return seconds, code, line, run, options


def equality(folder):
    options = DIGITS + ["--set", f"train.steps={STEPS}"]
    print(f"digits.yaml, {STEPS} steps, conditions from step {int(STEPS * 0.4)} on, against one process:\n")
    print("| ranks | largest difference of a weight | of any tensor of the checkpoint | clusters of all images equal | peak memory a rank, MB |")
    print("| ---: | ---: | ---: | --- | ---: |")
    for ranks in (1, 2, 4):
        _, memory, _ = train(ranks, folder / f"r{ranks}", options)
        weights, any_tensor, same = difference(folder / "r1", folder / f"r{ranks}")
        print(f"| {ranks} | {weights:g} | {any_tensor:g} | {'yes' if same else 'NO'} | {memory:.0f} |", flush=True)


def costs(folder):
    print("| network | ranks | ms a step | bytes over the loopback a step | peak memory a rank, MB |\n| --- | ---: | ---: | ---: | ---: |")
    for title, what in (("digits.yaml, 0.3 M parameters, batch 128", DIGITS), ("19 M parameters, batch 16", LARGE)):
        for ranks in (1, 2, 4):
            seconds, moved, memory = seconds_a_step(ranks, folder, what)
            print(f"| {title} | {ranks} | {1000 * seconds:.0f} | {moved:,.0f} | {memory:.0f} |", flush=True)


def memory(folder):
    """With and without train.shard_state, where it is known; the first rank also brings checkpoints together."""
    program = subprocess.run([str(SDG), "config", "--help-options"], capture_output=True, text=True).stdout
    print("| ranks | train.shard_state | peak of the first rank, MB | largest peak of the others, MB | bytes over the loopback a step |\n| ---: | --- | ---: | ---: | ---: |")
    for ranks in (1, 2, 4):
        for sharded in (False, True) if ranks > 1 and "shard_state" in program else (False,):
            options = SHARDS + (["--set", "train.shard_state=true"] if sharded else [])
            moved = []
            for steps in (2, 6):
                run = folder / f"m{ranks}{sharded}{steps}"
                _, peaks, bytes_moved = train_and_watch(ranks, run, options + ["--set", f"train.steps={steps}"])
                moved.append(bytes_moved)
            others = max([peaks[rank] for rank in peaks if rank > 0], default=0)
            print(f"| {ranks} | {'yes' if sharded else 'no'} | {peaks[0]:.0f} | {f'{others:.0f}' if others else '–'} | {(moved[1] - moved[0]) / 4:,.0f} |", flush=True)


EXCHANGE = r"""
import json, sys, time, torch, torch.distributed as dist
torch.set_num_threads(1)
rank, ranks, port, parameters = (int(a) for a in sys.argv[1:5])
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=ranks)
chunk = 2**21 // ranks
piece = (parameters + ranks - 1) // ranks
def hand_out():
    for first in range(0, piece, chunk):
        n = min(chunk, piece - first)
        dist.all_to_all_single(torch.empty(n * ranks), torch.ones(n * ranks))
def gather():
    for first in range(0, piece, chunk):
        n = min(chunk, piece - first)
        dist.all_gather([torch.empty(n) for _ in range(ranks)], torch.ones(n))
def small():
    dist.all_gather([torch.empty(8) for _ in range(ranks)], torch.ones(8))
def seconds(work, times):
    work()
    dist.barrier()
    begin = time.time()
    for _ in range(times):
        work()
    return (time.time() - begin) / times
out = {"hand_out": seconds(hand_out, 5), "gather": seconds(gather, 5), "small": seconds(small, 200)}
if rank == 0:
    print(json.dumps(out))
dist.barrier()
"""


def messages(ranks, parameters):
    """Seconds of the exchange of one shard's gradient, of gathering the sum, and of a small message, by c10d with Gloo as the program uses it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [subprocess.Popen([sys.executable, "-c", EXCHANGE, str(rank), str(ranks), str(port), str(parameters)], stdout=subprocess.PIPE, text=True,
                                  env={**os.environ, "OMP_NUM_THREADS": "1"}) for rank in range(ranks)]
    texts = [process.communicate()[0] for process in processes]
    return json.loads(texts[0])


def parameters_of(options):
    text = subprocess.run([str(SDG), "train", "--dry-run"] + options, capture_output=True, text=True, check=True).stdout
    return int(next(line for line in text.splitlines() if line.startswith("# parameters")).split()[-1].replace(",", ""))


def model(folder):
    """The step of 1 rank and the exchange alone are measured; steps of 2 and 4 ranks follow from them, and are measured too."""
    print("| network | ranks | compute, ms | gradient, ms | small exchanges, ms | step by the model, ms | step measured, ms | error |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    cores = os.cpu_count()
    for title, what, batch, shard in (("digits.yaml", DIGITS, 128, 32), ("19 M parameters", LARGE, 16, 4)):
        parameters = parameters_of(what)
        alone, _, _ = seconds_a_step(1, folder, what)
        for ranks in (2, 4):
            shards = math.ceil(batch / shard / ranks)
            # A rank's shards, on its core or its part of one.
            compute = alone * shards * shard / batch * max(1, ranks / cores)
            times = messages(ranks, parameters)
            gradient = shards * times["hand_out"] + times["gather"]
            small = SMALL * times["small"]
            measured, _, _ = seconds_a_step(ranks, folder, what)
            predicted = compute + gradient + small
            print(f"| {title} | {ranks} | {1000 * compute:.0f} | {1000 * gradient:.1f} | {1000 * small:.1f} | {1000 * predicted:.0f} | {1000 * measured:.0f} |"
                  f" {100 * (predicted / measured - 1):+.0f} % |", flush=True)


def losses(folder):
    print("| rank 1 of 2 | seconds until all have ended | exit code | what the first rank says | weights after going on, against one process |\n| --- | ---: | ---: | --- | ---: |")
    whole = folder / "whole"
    for number, patience in ((signal.SIGKILL, None), (signal.SIGSTOP, None)):
        seconds, code, line, run, options = lost(folder, number, patience)
        if not whole.exists():
            train(1, whole, options)
        print(f"| {number.name} | {seconds:.1f} | {code} | `{line}` | {difference(whole, run)[0]:g} |", flush=True)


def going_on(folder):
    print("| from 2 ranks at step 25 to | largest difference of a weight, against one process |\n| ---: | ---: |")
    train(1, folder / "stop-one", options_for_stop())
    for ranks in (1, 4):
        run = folder / f"from2to{ranks}"
        stopped = start(command(2, run, options_for_stop()))
        wait_for_step(run, stopped)
        stopped.send_signal(signal.SIGTERM)
        stopped.communicate()
        train(ranks, run, options_for_stop())
        print(f"| {ranks} | {difference(folder / 'stop-one', run)[0]:g} |", flush=True)


def slow_loopback(rate):
    """From here on in a network of its own (Linux, root), through whose loopback so much goes at most."""
    clone_newnet = 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
        sys.exit(f"overlap: no network of its own: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if rate:
        subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", rate, "burst", "1mb", "latency", "200ms"], check=True)


def overlap(folder):
    """Rounds of one program after the other, so that both meet the same machine."""
    global SDG
    programs = [SDG] + [pathlib.Path(other).resolve() for other in (os.environ.get("SDG_BEFORE"),) if other]
    print("| loopback | program | ms a step, each round |\n| --- | --- | --- |")
    for rate in (None, "4gbit"):
        slow_loopback(rate)
        found = {program: [] for program in programs}
        for _ in range(3):
            for SDG in programs:
                found[SDG].append(1000 * seconds_a_step(2, folder, OWN_SUMS)[0])
        for program, times in found.items():
            print(f"| {rate or 'as it is'} | {program.name} | {', '.join(f'{each:.0f}' for each in times)} |", flush=True)


PARTS = {"equality": equality, "costs": costs, "memory": memory, "model": model, "losses": losses, "going_on": going_on, "overlap": overlap}


def main():
    print(f"`tools/ranks_check.py`, seed 0, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, one thread a rank.")
    for part in sys.argv[2:] or [each for each in PARTS if each != "overlap"]:
        print()
        with tempfile.TemporaryDirectory() as name:
            PARTS[part](pathlib.Path(name))


def options_for_stop():
    return DIGITS + ["--set", "train.steps=100", "--set", "train.save_every=25"]


if __name__ == "__main__":
    main()
