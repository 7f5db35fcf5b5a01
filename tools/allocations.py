#!/usr/bin/env python3
"""What memory costs while sdg draws: calls of malloc a step, and CPU time beside other allocators.

tools/allocations.py (--run RUN | --checkpoint FILE) [--rounds 5] [--count 320] [--long 20 --short 10] [-- options of sdg sample]

First: one group of 16 images with --long and with --short Euler steps, under a library that counts every call of malloc,
calloc, realloc, posix_memalign and aligned_alloc (compiled with cc, put before with LD_PRELOAD): the difference over the
steps. Then: --count images, CPU seconds of the process, as the program is and with jemalloc, tcmalloc and mimalloc in place
of the system's malloc (those of Debian's libjemalloc2, libtcmalloc-minimal4, libmimalloc2.0 that are there), in turn,
the least of --rounds. All on one thread. SDG names the program. Needs cc and Python.
"""
import glob
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))
COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static long calls, large;
static void seen(size_t n) {
  __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
  if (n >= 4096) __atomic_fetch_add(&large, 1, __ATOMIC_RELAXED);
}
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void *malloc(size_t n) { seen(n); return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { seen(n * m); return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { seen(n); return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { seen(n); return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { seen(n); *p = __libc_memalign(a, n); return *p ? 0 : 12; }
__attribute__((destructor)) static void tell(void) {
  FILE *out = fopen(getenv("ALLOCATIONS_OUT"), "w");
  if (out) { fprintf(out, "%ld %ld\n", calls, large); fclose(out); }
}
"""
OTHERS = {"jemalloc": ("libjemalloc.so.2", {"MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0"}),
          "tcmalloc": ("libtcmalloc_minimal.so.4", {"TCMALLOC_RELEASE_RATE": "0"}), "mimalloc": ("libmimalloc.so.2", {})}


def draw(words, folder, more):
    """CPU seconds (user and system) and page faults of the process."""
    out = os.path.join(folder, "drawn")
    process = subprocess.Popen([PROGRAM, "sample"] + words + [out], env=dict(os.environ, OMP_NUM_THREADS="1", **more), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(told)
    os.remove(out)
    return usage.ru_utime + usage.ru_stime, usage.ru_minflt


def main():
    arguments, shared = sys.argv[1:], []
    if "--" in arguments:
        shared = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]

    def option(name, default):
        return arguments[arguments.index(name) + 1] if name in arguments else default
    source = next(([flag, option(flag, "")] for flag in ("--run", "--checkpoint") if flag in arguments), None)
    if not source:
        sys.exit(__doc__)
    kind = "--latents" if "--autoencoder" in shared else "--npz"
    words = source + (["--untuned"] if source[0] == "--run" else []) + shared
    with tempfile.TemporaryDirectory() as folder:
        code, library, told = (os.path.join(folder, name) for name in ("counter.c", "counter.so", "told"))
        with open(code, "w") as file:
            file.write(COUNTER)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", code, "-o", library], check=True)
        counted = []
        long, short = int(option("--long", "20")), int(option("--short", "10"))
        for steps in (long, short):
            draw(words + ["--count", "16", "--solver", "euler", "--steps", str(steps), kind], folder, {"LD_PRELOAD": library, "ALLOCATIONS_OUT": told})
            with open(told) as file:
                counted.append([int(word) for word in file.read().split()])
        calls, large = ((a - b) / (long - short) for a, b in zip(*counted))
        print(f"a step of 16 images: {calls:.0f} calls of malloc, {large:.1f} of them for 4 KiB and more\n")
        ways = {"as it is": {}}
        for name, (file_name, more) in OTHERS.items():
            found = glob.glob(f"/usr/lib/*/{file_name}")
            if found:
                ways[name] = dict(LD_PRELOAD=found[0], **more)
        rows = {name: [] for name in ways}
        for _ in range(int(option("--rounds", "5"))):
            for name, more in ways.items():
                rows[name].append(draw(words + ["--count", option("--count", "320"), kind], folder, more))
        print("| allocator | CPU s | page faults | CPU time as it is / its |\n| --- | ---: | ---: | ---: |")
        for name, found in rows.items():
            print(f"| {name} | {min(found)[0]:.2f} | {min(found)[1]} | {min(rows['as it is'])[0] / min(found)[0]:.3f} |")


main()
