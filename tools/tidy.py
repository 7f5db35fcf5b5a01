#!/usr/bin/env python3
"""clang-tidy over the tree, several files in one translation unit.

LibTorch's headers take ten times as long to read as one of our files to check, so files are read in groups that share them
(tools/unity_groups.py); where a group does not compile, its files are checked alone.

  tools/tidy.py                      every source of src/, tests/ and docs/tutorial/
  tools/tidy.py --since COMMIT       the sources changed since COMMIT, and those that include a header changed since
  tools/tidy.py src/flow/path.cpp    these

Prints each finding once and exits with 1 where there are any. Wants build/release/compile_commands.json (cmake --preset release) and
clang-tidy from PyPI: the versions from 21 on leave out what stands in system headers, Debian's 19 takes five times as long.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

import unity_groups

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
SCRATCH = ROOT / "build/tidy"


def commands():
    """Flags by source, without the precompiled header (it is another compiler's) and without what names input and output."""
    found = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        words, flags = iter(shlex.split(entry["command"])[1:]), []
        for word in words:
            if word == "-Xclang":
                word = next(words)
                if word in ("-include-pch", "-include"):
                    next(words), next(words)
            elif word == "-o":
                next(words)
            elif word not in ("-c", "-Winvalid-pch", entry["file"]):
                flags.append(word)
        together = "/Unity/unity_" in entry["file"]  # CMake's own file, which includes the sources
        for source in re.findall(r'#include "(.+)"', pathlib.Path(entry["file"]).read_text()) if together else [entry["file"]]:
            found[str(pathlib.Path(source).relative_to(ROOT))] = flags
    return found


def check(tidy, members, flags):
    """Findings of a group as (file, line, column, text); None where it does not compile."""
    if len(members) == 1:
        unit = ROOT / members[0]
    else:
        unit = SCRATCH / (re.sub(r"\W", "_", members[0]) + f"_{len(members)}.cpp")
        unit.write_text("".join(f'#include "{ROOT / member}"  // NOLINT(bugprone-suspicious-include)\n' for member in members))
    done = subprocess.run([tidy, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(unit), "--", *flags, "-Wno-everything"],
                          capture_output=True, text=True)
    findings = set()
    for line in done.stdout.splitlines():
        if found := re.match(r"(.+?):(\d+):(\d+): (?:error|warning): (.*)", line):
            file = os.path.relpath(os.path.realpath(found[1]), ROOT)
            if "[clang-diagnostic-" in line and len(members) > 1:
                return None
            findings.add((file, int(found[2]), int(found[3]), found[4].replace(",-warnings-as-errors", "")))
    if done.returncode and not findings:
        findings.add((members[0], 0, 0, (done.stderr.strip().splitlines() or ["clang-tidy failed"])[-1]))
    return findings


def changed_since(commit, flags):
    changed = subprocess.run(["git", "diff", "--name-only", "--diff-filter=d", commit], cwd=ROOT, check=True, capture_output=True, text=True)
    changed = set(changed.stdout.split())
    headers = {file.split("include/", 1)[-1].removeprefix("src/") for file in changed if file.endswith(".h")}
    includes = lambda source: set(re.findall(r'#include "(.+)"', (ROOT / source).read_text()))
    return [source for source in flags if source in changed or includes(source) & headers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--since", metavar="COMMIT")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    tidy = os.environ.get("CLANG_TIDY") or next(
        (str(path) for path in [ROOT / ".venv/bin/clang-tidy"] if path.exists()), shutil.which("clang-tidy-19"))
    if not tidy:
        sys.exit("tidy: no clang-tidy; .venv/bin/python -m pip install clang-tidy, or set CLANG_TIDY")
    flags = commands()
    sources = args.sources or (changed_since(args.since, flags) if args.since else sorted(flags))
    if unknown := [source for source in sources if source not in flags]:
        sys.exit(f"tidy: not a source of build/release: {unknown[0]}")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    by_flags = collections.defaultdict(list)
    for source in sources:
        by_flags[tuple(flags[source])].append(source)
    groups = [group for alike in by_flags.values() for group in unity_groups.groups_of(alike)]
    print(f"tidy: {len(sources)} sources in {len(groups)} groups", flush=True)
    start, seen, alone = time.monotonic(), set(), []

    def show(members, findings):
        if findings is None:
            alone.extend(members)
        for file, line, column, text in sorted((findings or set()) - seen):
            print(f"{file}:{line}:{column}: {text}", flush=True)
        seen.update(findings or set())

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for members, findings in zip(groups, pool.map(lambda members: check(tidy, members, flags[members[0]]), groups)):
            show(members, findings)
        for source, findings in zip(list(alone), pool.map(lambda source: check(tidy, [source], flags[source]), list(alone))):
            show([source], findings)
    print(f"tidy: {len(seen)} findings, {time.monotonic() - start:.0f} s, {len(alone)} sources alone because their group did not compile")
    sys.exit(bool(seen))


if __name__ == "__main__":
    main()
