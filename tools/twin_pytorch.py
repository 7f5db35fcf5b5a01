#!/usr/bin/env python3
"""Loss curves of plain PyTorch twins of the small networks, for tools/initial_values.sh.

The same sizes, data, path, optimizer and schedule as `sdg train` in that script, written from the papers' equations; the
twins begin with PyTorch's own initial values, but for what each paper sets (DiT: zero modulations and output; ADM: zero
last convolutions) and U-ViT's last convolution, which begins as the identity. Their noise is their own, so curves agree
in distribution, not step by step. Prints one row: network, seed, smoothed loss after 100, 200, 300 and all steps.
"""
import argparse
import math

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from bench_pytorch import UViT


def sinusoid(t, dim):
    angles = t[:, None] * torch.exp(torch.arange(dim // 2) * (-math.log(10000) / (dim // 2)))
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def zero(layer):
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class DiTBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.modulation = zero(nn.Linear(dim, 6 * dim))

    def forward(self, x, c):
        n, t, d = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(c)[:, None].chunk(6, 2)
        h = F.layer_norm(x, (d,), eps=1e-6) * (1 + scale1) + shift1
        q, k, v = self.qkv(h).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + gate1 * self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))
        h = F.layer_norm(x, (d,), eps=1e-6) * (1 + scale2) + shift2
        return x + gate2 * self.fc2(F.gelu(self.fc1(h), approximate="tanh"))


class DiT(nn.Module):
    """arXiv 2212.09748; `time_scale` 1000 as DiT, 1 as SiT."""

    def __init__(self, size, patch, channels, dim=64, depth=3, heads=4, time_scale=1000):
        super().__init__()
        self.patch, self.channels, self.grid, self.time_scale = patch, channels, size // patch, time_scale
        self.embed = nn.Conv2d(channels, dim, patch, patch)
        self.time = nn.Sequential(nn.Linear(256, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.null = nn.Parameter(0.02 * torch.randn(dim))
        self.blocks = nn.ModuleList(DiTBlock(dim, heads) for _ in range(depth))
        self.modulation, self.out = zero(nn.Linear(dim, 2 * dim)), zero(nn.Linear(dim, patch * patch * channels))
        half = sinusoid(torch.arange(self.grid).float(), dim // 2)
        rows, columns = half.repeat_interleave(self.grid, 0), half.repeat(self.grid, 1)
        self.register_buffer("position", torch.cat([columns, rows], 1))

    def forward(self, x, t):
        n, dim = x.shape[0], self.position.shape[1]
        h = self.embed(x).flatten(2).transpose(1, 2) + self.position
        c = F.silu(self.time(sinusoid(self.time_scale * t, 256)) + self.null)
        for block in self.blocks:
            h = block(h, c)
        shift, scale = self.modulation(c)[:, None].chunk(2, 2)
        h = self.out(F.layer_norm(h, (dim,), eps=1e-6) * (1 + scale) + shift)
        h = h.view(n, self.grid, self.grid, self.patch, self.patch, self.channels).permute(0, 5, 1, 3, 2, 4)
        return h.reshape(n, self.channels, self.grid * self.patch, -1)


class ResBlock(nn.Module):
    def __init__(self, inner, outer, embedding):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, inner), nn.Conv2d(inner, outer, 3, padding=1)
        self.embed = nn.Linear(embedding, 2 * outer)
        self.norm2, self.conv2 = nn.GroupNorm(32, outer), zero(nn.Conv2d(outer, outer, 3, padding=1))
        self.skip = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x, c, resample=lambda h: h):
        h = self.conv1(resample(F.silu(self.norm1(x))))
        scale, shift = self.embed(c)[:, :, None, None].chunk(2, 1)
        return self.skip(resample(x)) + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class PixelAttention(nn.Module):
    def __init__(self, channels, head=32):
        super().__init__()
        self.heads = channels // head
        self.norm, self.qkv = nn.GroupNorm(32, channels), nn.Conv1d(channels, 3 * channels, 1)
        self.proj = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x):
        n, c, height, width = x.shape
        q, k, v = self.qkv(self.norm(x).flatten(2)).view(n, self.heads, 3, c // self.heads, -1).transpose(3, 4).unbind(2)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(n, c, -1)
        return x + self.proj(mixed).view(n, c, height, width)


class Adm(nn.Module):
    """arXiv 2105.05233 with two levels and one residual block a level, as `adm-tiny`."""

    def __init__(self, size, patch, channels, width=32):
        super().__init__()
        wide, embedding = 2 * width, 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        block = lambda inner, outer: ResBlock(inner, outer, embedding)
        self.down1, self.halve, self.down2, self.at2 = block(width, width), block(width, width), block(width, wide), PixelAttention(wide)
        self.mid1, self.mid_attention, self.mid2 = block(wide, wide), PixelAttention(wide), block(wide, wide)
        self.up1, self.up1_attention = block(2 * wide, wide), PixelAttention(wide)
        self.up2, self.up2_attention, self.enlarge = block(wide + width, wide), PixelAttention(wide), block(wide, wide)
        self.up3, self.up4 = block(wide + width, width), block(2 * width, width)
        self.norm, self.out = nn.GroupNorm(32, width), zero(nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, x, t):
        c = F.silu(self.time(sinusoid(1000 * t, self.width)))
        smaller, larger = lambda h: F.avg_pool2d(h, 2), lambda h: F.interpolate(h, scale_factor=2)
        s0 = self.stem(x)
        s1 = self.down1(s0, c)
        s2 = self.halve(s1, c, smaller)
        s3 = self.at2(self.down2(s2, c))
        h = self.mid2(self.mid_attention(self.mid1(s3, c)), c)
        h = self.up1_attention(self.up1(torch.cat([h, s3], 1), c))
        h = self.enlarge(self.up2_attention(self.up2(torch.cat([h, s2], 1), c)), c, larger)
        h = self.up4(torch.cat([self.up3(torch.cat([h, s1], 1), c), s0], 1), c)
        return self.out(F.silu(self.norm(h)))


def build(name, size, patch, channels):
    if name == "adm":
        return Adm(size, patch, channels)
    if name in ("dit", "sit"):
        return DiT(size, patch, channels, time_scale=1000 if name == "dit" else 1)
    net = UViT(size, patch, channels, 64, 5, 4)
    nn.init.dirac_(net.final.weight)
    nn.init.zeros_(net.final.bias)
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help=".safetensors with uint8 images")
    parser.add_argument("--net", default="uvit", choices=["uvit", "dit", "sit", "adm"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--patch", type=int, default=4)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    images = load_file(args.data)["images"].float() / 127.5 - 1
    images = images[:, None] if images.dim() == 3 else images
    net = build(args.net, images.shape[-1], args.patch, images.shape[1])
    peak, warmup, batch, sigma = 2e-3, 100, 128, 1e-4
    optimizer = torch.optim.AdamW(net.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0)
    smooth = weight = 0.0
    order, row = [], []
    for step in range(args.steps):
        if len(order) < batch:
            order += torch.randperm(len(images)).tolist()
        x, order = images[order[:batch]], order[batch:]
        noise, t = torch.randn_like(x), torch.rand(batch)
        wide = t[:, None, None, None]
        progress = min(1.0, max(0, step - warmup) / max(1, args.steps - warmup))
        falling = peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        optimizer.param_groups[0]["lr"] = peak * (step + 1) / warmup if step < warmup else falling
        loss = F.mse_loss(net(wide * x + (1 - (1 - sigma) * wide) * noise, t), x - (1 - sigma) * noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        smooth, weight = 0.98 * smooth + 0.02 * loss.item(), 0.98 * weight + 0.02
        if step + 1 in (100, 200, 300, args.steps):
            row.append(f"{smooth / weight:.3f}")
    print(f"| {args.net}, PyTorch | {args.seed} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
