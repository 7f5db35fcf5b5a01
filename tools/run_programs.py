#!/usr/bin/env python3
"""Runs test cases with one process a program, several programs at once.

  ctest --preset sanitize --show-only=json-v1 > cases.json
  tools/run_programs.py cases.json [--jobs N] [--logs FOLDER]

Prints a line a program with its time, and what a program that failed said last. Exits with 1 where one failed.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time


def programs(listing):
    """Of ctest's listing: {(command, environment, folder): its cases}, without the disabled ones; what is no GoogleTest case is one of its own."""
    cases = collections.defaultdict(list)
    for test in listing["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        filters = [word.split("=", 1)[1] for word in test.get("command", []) if word.startswith("--gtest_filter=")]
        if properties.get("DISABLED") or not test.get("command"):
            continue
        command = tuple(test["command"][:1] if filters else test["command"])
        key = (command, tuple(properties.get("ENVIRONMENT", [])), properties.get("WORKING_DIRECTORY", "."))
        cases[key] += filters or [test["name"]]
    return cases


def run(key, cases, logs, limit):
    command, environment, folder = key
    tests = pathlib.Path(command[0]).name.startswith("sdg_test_") and len(command) == 1
    log = logs / f"{pathlib.Path(command[0]).name if tests else cases[0]}.log"
    start = time.monotonic()
    with open(log, "wb") as out:
        try:
            status = subprocess.run([*command, *([f"--gtest_filter={':'.join(cases)}"] if tests else [])], cwd=folder, stdout=out, stderr=subprocess.STDOUT,
                                    env=os.environ | dict(entry.split("=", 1) for entry in environment), timeout=limit).returncode
        except subprocess.TimeoutExpired:
            status = f"over {limit} s"
    return log, status, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("listing", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--logs", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=1800, help="seconds a program")
    args = parser.parse_args()
    logs = args.logs or args.listing.parent / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    cases = programs(json.loads(args.listing.read_text()))
    if not cases:
        sys.exit("run_programs: no case")
    failed, start = [], time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = {pool.submit(run, key, names, logs, args.limit): (key, names) for key, names in sorted(cases.items())}
        for job in concurrent.futures.as_completed(jobs):
            (log, status, seconds), names = job.result(), jobs[job][1]
            print(f"{log.stem}: {len(names)} cases, {seconds:.0f} s" + (f", FAILED ({status})" if status else ""), flush=True)
            if status:
                failed.append(log)
                print(log.read_text(errors="replace")[-6000:], flush=True)
    total = sum(len(names) for names in cases.values())
    print(f"{total} cases of {len(cases)} programs, {len(failed)} programs failed, {time.monotonic() - start:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
