#!/usr/bin/env python3
"""What the clustering head finds in features that hold still, beside k-means of the same features.

    .venv/bin/python tools/head_study.py RUN/checkpoints/last.safetensors [MORE ...] [--data configs/mnist5k.safetensors] [--steps 600]

A PyTorch twin of the head, of Sinkhorn's sweeps and of the averaged teacher (docs/method.md, two views), trained on the features of a
finished U-ViT (uvit-tiny: four attention heads) whose own training rests: what each setting costs, in seconds instead of minutes.
Features: the middle block's patch tokens side by side; the teacher's through two draws of noise at t = 0.85, the head's through two others
at times of the window. Prints NMI and purity (the share of images that are of their cluster's most frequent class) against the
labels, which nothing else sees, and the share of images that keep their cluster under another noise. A row a setting, a checkpoint a seed.
"""
import argparse
import copy
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from torch import nn

EXTRA = 3  # tokens before the patches: cls, time, condition
SETTINGS = {  # name: what differs from clusters_of's defaults, which are those of configs/digits.yaml
    "as digits.yaml": {},
    "temperature 0.1": {"temperature": 0.1},
    "lr 5e-4": {"lr": 5e-4},
    "epsilon 0.1": {"epsilon": 0.1},
    "epsilon 0.02": {"epsilon": 0.02},
    "10 sweeps": {"sweeps": 10},
    "queue of 512 rows": {"queued": 512},
    "hidden 1024": {"hidden": 1024},
    "K 50": {"clusters": 50},
    "K 50, queue of 512 rows": {"clusters": 50, "queued": 512},
    "K 100": {"clusters": 100},
    "K 100, queue of 1024 rows": {"clusters": 100, "queued": 1024},
    "K 100, temperature 0.1": {"clusters": 100, "temperature": 0.1},
}


def features(weights, images, seed, begin, end):
    """Of each image at a time between begin and end through noise of its own, [N, L * D] float32."""
    w = {name[4:]: value.float() for name, value in weights.items() if name.startswith("ema.")}
    dim, patch = w["pos_embed"].shape[2], round((w["patch_embed.proj.weight"].numel() / w["pos_embed"].shape[2]) ** 0.5)
    draws, out = torch.Generator().manual_seed(seed), []

    def linear(x, name):
        return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))

    def norm(x, name):
        return F.layer_norm(x, (dim,), w[name + ".weight"], w[name + ".bias"], 1e-5)

    def block(x, name):
        n, t, _ = x.shape
        q, k, v = linear(norm(x, name + ".norm1"), name + ".attn.qkv").view(n, t, 3, 4, dim // 4).permute(2, 0, 3, 1, 4)
        x = x + linear(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, dim), name + ".attn.proj")
        return x + linear(F.gelu(linear(norm(x, name + ".norm2"), name + ".mlp.fc1")), name + ".mlp.fc2")

    for x in images.split(500):
        t = begin + (end - begin) * torch.rand(len(x), generator=draws)
        mixed = t.view(-1, 1, 1, 1) * x + (1 - (1 - 1e-4) * t.view(-1, 1, 1, 1)) * torch.randn(x.shape, generator=draws)
        angles = t[:, None] * torch.exp(torch.arange(dim // 2) * (-math.log(10000) / (dim // 2)))
        patches = F.conv2d(mixed, w["patch_embed.proj.weight"].view(dim, 1, patch, patch), w["patch_embed.proj.bias"], patch)
        tokens = [w["cls_token"], torch.cat([angles.cos(), angles.sin()], 1)[:, None], w["unconditional_embed"]]
        h = torch.cat([each.expand(len(x), 1, dim) for each in tokens] + [patches.flatten(2).transpose(1, 2)], 1) + w["pos_embed"]
        down = sorted({name.split(".")[1] for name in w if name.startswith("in_blocks.")}, key=int)
        for name in [*(f"in_blocks.{i}" for i in down), "mid_block"]:
            h = block(h, name)
        out.append(h[:, EXTRA:].flatten(1))
    return torch.cat(out)


def sinkhorn(scores, epsilon, sweeps):
    plan = ((scores - scores.max()) / epsilon).double().exp()
    for _ in range(sweeps):
        plan /= plan.sum(0, keepdim=True) * plan.shape[1]
        plan /= plan.sum(1, keepdim=True) * plan.shape[0]
    return (plan * plan.shape[0]).float()


class Head(nn.Module):
    def __init__(self, width, hidden, dim, clusters):
        super().__init__()
        self.standardize, self.inner = nn.BatchNorm1d(width, affine=False), nn.BatchNorm1d(hidden)
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, dim)
        for layer in (self.first, self.second):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.prototypes = nn.Parameter(F.normalize(torch.randn(clusters, dim), dim=1))

    def forward(self, x):
        embedding = F.normalize(self.second(F.relu(self.inner(self.first(self.standardize(x))))), dim=1)
        return embedding, embedding @ self.prototypes.t()


def clusters_of(
    teacher_views, head_views, steps, seed, clusters=20, hidden=256, temperature=0.3, lr=2e-3, epsilon=0.05, sweeps=3, queued=None, batch=128, dim=128
):
    """The teacher's clusters of all images through its two draws of noise."""
    torch.manual_seed(seed)
    n, head = len(teacher_views[0]), Head(teacher_views[0].shape[1], hidden, dim, clusters)
    teacher = copy.deepcopy(head).requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0)
    queued, queue = max(0, 2 * clusters - batch) if queued is None else queued, torch.zeros(0, dim)
    order, at = torch.randperm(n), 0
    for step in range(1, steps + 1):
        if at + batch > n:
            order, at = torch.randperm(n), 0
        rows = order[at : at + batch]
        at += batch
        with torch.no_grad():
            head.prototypes.copy_(F.normalize(head.prototypes, dim=1))
            embedding, scores = teacher(teacher_views[step % 2][rows])
            wanted = sinkhorn(torch.cat([scores, queue @ teacher.prototypes.t()]), epsilon, sweeps)[:batch]
            queue = torch.cat([embedding, queue])[:queued]
        _, scores = head(head_views[step % 2][rows])
        loss = -(wanted * F.log_softmax(scores / temperature, 1)).sum(1).mean()
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, step / 50)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, new in zip(teacher.state_dict().values(), head.state_dict().values()):
                mine.lerp_(new, 1 - decay) if mine.dtype.is_floating_point else mine.copy_(new)
    with torch.no_grad():
        return [teacher(view)[1].argmax(1).numpy() for view in teacher_views]


def purity(ids, labels):
    return sum(np.bincount(labels[ids == k]).max() for k in np.unique(ids)) / len(labels)


def kmeans(x, clusters, seed):
    x = (x - x.mean(0)) / x.std(0)
    torch.manual_seed(seed)
    x = x @ torch.pca_lowrank(x, q=100, niter=2)[2]  # nearly the same distances, in a twentieth of the time
    return KMeans(clusters, n_init=1, random_state=seed).fit_predict(x.numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--data", default="configs/mnist5k.safetensors")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, help="these settings; default: all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = load_file(args.data)
    images, labels = data["images"].float().unsqueeze(1) / 127.5 - 1, data["labels"].numpy()
    rows = {}
    for seed, checkpoint in enumerate(args.checkpoints):
        weights = load_file(checkpoint)
        teacher_views = [features(weights, images, draw, 0.85, 0.85) for draw in (1, 2)]
        head_views = [features(weights, images, draw, 0.8, 0.9) for draw in (3, 4)]
        for clusters in (20, 50, 100):
            rows.setdefault(f"k-means, K {clusters}", []).append((kmeans(teacher_views[0], clusters, seed), None))
        for name in args.only or SETTINGS:
            one, other = clusters_of(teacher_views, head_views, args.steps, seed, **SETTINGS[name])
            rows.setdefault(name, []).append((one, (one == other).mean()))
            nmi = normalized_mutual_info_score(labels, one)
            print(f"{checkpoint}: {name}: NMI {nmi:.3f}, purity {purity(one, labels):.3f}", file=sys.stderr, flush=True)
    print("| head | NMI, a checkpoint each | purity | keep their cluster |\n| --- | --- | --- | --- |")
    for name, found in rows.items():
        nmi = ", ".join(f"{normalized_mutual_info_score(labels, ids):.3f}" for ids, _ in found)
        pure = ", ".join(f"{purity(ids, labels):.3f}" for ids, _ in found)
        kept = ", ".join("" if same is None else f"{same:.2f}" for _, same in found)
        print(f"| {name} | {nmi} | {pure} | {kept} |")


if __name__ == "__main__":
    main()
