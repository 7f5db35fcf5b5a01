#!/usr/bin/env python3
"""sdg sample beside a plain PyTorch loop and diffusers' schedulers: the same SiT, weights, noise, times and threads.

  SDG=build/release/sdg PYTHON tools/bench_sampling.py [--networks small,B] [--solvers euler,dpmpp_2m,unipc] [--threads 1] [--rounds 3] [--json OUT.json]

Needs torch, numpy, safetensors, and for the schedulers diffusers (without it they are left out, said aloud). A network of
random weights is written under SiT's public names, converted by sdg, and drawn from noise that is computed here with
sdg's generator, so that results can be compared number by number. sdg's seconds are those of `--json` (drawing and
writing, without start); PyTorch's are the best of batches 16 and 64 (`small`), one joined pass a step for both
conditions, as sdg does it. Rounds alternate; the least of each counts.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("SDG", os.path.join(HERE, "build/release/sdg"))
CLASS, GUIDANCE = 3, 1.5
NETWORKS = {"small": dict(size=8, patch=2, dim=64, depth=3, heads=4, images=512, steps=25),
            "B": dict(size=32, patch=2, dim=768, depth=12, heads=12, images=16, steps=4)}


def noise_of(seed, count, numbers):
    """sdg's noise of images 0 … count - 1: Philox4x32-10 and Box-Muller (core/rng.cpp)."""
    m64 = (1 << 64) - 1

    def mix(z):
        z = (z + 0x9E3779B97F4A7C15) & m64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & m64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & m64
        return z ^ (z >> 31)

    key = mix(mix(mix(seed) ^ 10) ^ 0)  # purpose 10: noise of samples, step 0
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    blocks = (numbers + 3) // 4
    index, sample = (part.ravel().astype(np.uint64) for part in np.meshgrid(np.arange(blocks), np.arange(count)))
    low = np.uint64(0xFFFFFFFF)
    c = [index, np.zeros_like(index), sample, np.zeros_like(index)]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    unit = [(each.astype(np.float64) + 0.5) * 2.0**-32 for each in c]
    out = []
    for radius, angle in ((unit[0], unit[1]), (unit[2], unit[3])):
        r = np.sqrt(-2 * np.log(radius))
        out += [r * np.cos(2 * np.pi * angle), r * np.sin(2 * np.pi * angle)]
    rows = np.stack(out, 1).reshape(count, blocks * 4)[:, :numbers]
    return torch.from_numpy(rows.astype(np.float32))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.attn = nn.ModuleDict(dict(qkv=nn.Linear(d, 3 * d), proj=nn.Linear(d, d)))
        self.mlp = nn.ModuleDict(dict(fc1=nn.Linear(d, 4 * d), fc2=nn.Linear(4 * d, d)))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))

    def forward(self, x, c):
        n, t, d = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c)[:, None].chunk(6, 2)
        h = F.layer_norm(x, (d,), eps=1e-6) * (1 + scale1) + shift1
        q, k, v = self.attn["qkv"](h).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + gate1 * self.attn["proj"](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))
        h = F.layer_norm(x, (d,), eps=1e-6) * (1 + scale2) + shift2
        return x + gate2 * self.mlp["fc2"](F.gelu(self.mlp["fc1"](h), approximate="tanh"))


def sinusoid(t, dim):
    angles = t[:, None] * torch.exp(torch.arange(dim // 2) * (-math.log(10000) / (dim // 2)))
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class SiT(nn.Module):
    """arXiv 2401.08740 (DiT's network, arXiv 2212.09748), under the names of its public weights."""

    def __init__(self, size, patch, dim, depth, heads, channels=4, classes=10):
        super().__init__()
        self.patch, self.channels, self.grid = patch, channels, size // patch
        self.x_embedder = nn.ModuleDict(dict(proj=nn.Conv2d(channels, dim, patch, patch)))
        self.t_embedder = nn.ModuleDict(dict(mlp=nn.Sequential(nn.Linear(256, dim), nn.SiLU(), nn.Linear(dim, dim))))
        self.y_embedder = nn.ModuleDict(dict(embedding_table=nn.Embedding(classes + 1, dim)))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.final_layer = nn.ModuleDict(dict(adaLN_modulation=nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim)),
                                              linear=nn.Linear(dim, patch * patch * channels)))
        half = torch.from_numpy(self.sinusoid64(np.arange(self.grid), dim // 2)).float()
        rows, columns = half.repeat_interleave(self.grid, 0), half.repeat(self.grid, 1)
        self.pos_embed = nn.Parameter(torch.cat([columns, rows], 1)[None], requires_grad=False)

    @staticmethod
    def sinusoid64(places, dim):
        angles = places[:, None] * np.exp(-math.log(10000) * np.arange(dim // 2) / (dim // 2))
        return np.concatenate([np.sin(angles), np.cos(angles)], 1)

    def forward(self, x, t, y):
        n = x.shape[0]
        h = self.x_embedder["proj"](x).flatten(2).transpose(1, 2) + self.pos_embed
        c = self.t_embedder["mlp"](sinusoid(t, 256)) + self.y_embedder["embedding_table"](y)
        for block in self.blocks:
            h = block(h, c)
        shift, scale = self.final_layer["adaLN_modulation"](c)[:, None].chunk(2, 2)
        h = self.final_layer["linear"](F.layer_norm(h, h.shape[2:], eps=1e-6) * (1 + scale) + shift)
        h = h.view(n, self.grid, self.grid, self.patch, self.patch, self.channels).permute(0, 5, 1, 3, 2, 4)
        return h.reshape(n, self.channels, self.grid * self.patch, -1)


def write_decoder(path, width=8, latent=4, stages=3):
    """A TAESD decoder of random weights: sdg wants one that fits before it draws latents; it decodes nothing here."""
    out, index = {}, 1

    def conv(into, to, bias):
        nonlocal index
        out[f"{index}.weight"] = torch.randn(to, into, 3, 3) / math.sqrt(9 * into)
        if bias:
            out[f"{index}.bias"] = torch.zeros(to)
        index += 1

    def block():
        nonlocal index
        for i in (0, 2, 4):
            out[f"{index}.conv.{i}.weight"] = torch.randn(width, width, 3, 3) / math.sqrt(9 * width)
            out[f"{index}.conv.{i}.bias"] = torch.zeros(width)
        index += 1

    conv(latent, width, True)
    index += 1
    for _ in range(stages):
        block()
        index += 1
        conv(width, width, False)
    block()
    conv(width, 3, True)
    save_file(out, path)


def run(words, threads):
    done = subprocess.run([PROGRAM] + words, env=dict(os.environ, OMP_NUM_THREADS=str(threads)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def guided(net, x, t):
    n = x.shape[0]
    label = torch.tensor([CLASS, net.y_embedder["embedding_table"].num_embeddings - 1]).repeat_interleave(n)
    conditional, null = net(torch.cat([x, x]), torch.full((2 * n,), t), label).chunk(2)
    return null + GUIDANCE * (conditional - null)


def euler(net, x, times):
    for t, end in zip(times[:-1], times[1:]):
        x = x + (end - t) * guided(net, x, t)
    return x


def scheduled(name):
    def walk(net, x, times):
        import diffusers

        options = dict(solver_order=2, prediction_type="flow_prediction", use_flow_sigmas=True, final_sigmas_type="zero")
        unipc = name == "unipc"
        scheduler = diffusers.UniPCMultistepScheduler(**options) if unipc else diffusers.DPMSolverMultistepScheduler(**options)
        scheduler.set_timesteps(len(times) - 1)
        scheduler.sigmas = torch.tensor([1 - t for t in times], dtype=torch.float64)
        scheduler.timesteps = torch.arange(len(times) - 1, 0, -1)  # names of the steps, nothing else
        for i, t in enumerate(times[:-1]):
            x = scheduler.step(-guided(net, x, t), scheduler.timesteps[i], x).prev_sample
            if i == 0:
                scheduler.lower_order_nums = 0  # a second order through t = 0, where log(t / (1 - t)) has no value
        return x.float()
    return walk


def main():
    parser = argparse.ArgumentParser()
    for flag, value in (("--networks", "small,B"), ("--solvers", "euler,dpmpp_2m,unipc"), ("--threads", 1), ("--rounds", 3), ("--json", "")):
        parser.add_argument(flag, type=type(value), default=value)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        import diffusers
        say = f"diffusers {diffusers.__version__}"
    except ImportError:
        say = "no diffusers: its schedulers are left out"
    print(f"torch {torch.__version__}, {say}, {arguments.threads} thread(s), least of {arguments.rounds} rounds\n")
    print("| network | solver, steps, images | sdg s | theirs s | theirs / sdg | largest difference (of values up to) |\n| --- | --- | ---: | ---: | ---: | --- |")
    rows = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        decoder = os.path.join(folder, "decoder.safetensors")
        write_decoder(decoder)
        for name in arguments.networks.split(","):
            size = dict(NETWORKS[name])
            images, steps = size.pop("images"), size.pop("steps")
            torch.manual_seed(0)
            net = SiT(**size).eval()
            weights, checkpoint = (os.path.join(folder, f"{name}-{kind}.safetensors") for kind in ("public", "sdg"))
            save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
            run(["convert", weights, checkpoint, "--as", "sit", "--set", f"model.heads={size['heads']}",
                 "--set", "flow.sigma_min=0"], arguments.threads)
            noise = noise_of(0, images, 4 * size["size"] ** 2).view(images, 4, size["size"], size["size"])
            batches = (16, 64) if name == "small" else (16,)
            peers = [("euler", euler), ("dpmpp_2m", scheduled("dpmpp_2m")), ("unipc", scheduled("unipc"))]
            for solver, walk in peers if say[0] == "d" else peers[:1]:
                if solver not in arguments.solvers.split(","):
                    continue
                times = [i / steps for i in range(steps + 1)]
                ours, theirs, drawn, right = [], {batch: [] for batch in batches}, None, None
                for _ in range(arguments.rounds):
                    out = os.path.join(folder, "drawn.safetensors")
                    told = run(["sample", "--checkpoint", checkpoint, "--autoencoder", decoder, "--class", str(CLASS), "--guidance",
                                str(GUIDANCE), "--solver", solver, "--steps", str(steps), "--count", str(images), "--latents", out,
                                "--json", "--device", "cpu"], arguments.threads)
                    ours.append(json.loads(told)["seconds"])
                    drawn = load_file(out)["latents"]
                    os.remove(out)
                    for batch in batches:
                        began = time.perf_counter()
                        right = torch.cat([walk(net, piece, times) for piece in noise.split(batch)])
                        theirs[batch].append(time.perf_counter() - began)
                best = min(min(each) for each in theirs.values())
                difference, largest = (drawn - right).abs().max().item(), right.abs().max().item()
                rows.append(dict(network=name, solver=solver, steps=steps, images=images, threads=arguments.threads,
                                 sdg=min(ours), theirs=best, ratio=best / min(ours), difference=difference, largest=largest))
                print(f"| {name} | {solver}, {steps}, {images} | {min(ours):.2f} | {best:.2f} | {best / min(ours):.2f} | {difference:.1e} ({largest:.1f}) |",
                      flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


main()
