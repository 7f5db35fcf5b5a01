#!/usr/bin/env python3
"""A plain PyTorch training step of the network that `sdg bench` measures: eager, whole batch, torch.optim.AdamW.

The U-ViT of arXiv 2209.12152 in its image-level form (cls, time and condition token), written from its equations.
Prints one table row; run it beside `sdg bench` in the same minute, with nothing else on the machine (tools/bench.sh does).
"""
import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, dim, heads, skip):
        super().__init__()
        self.heads = heads
        self.skip = nn.Linear(2 * dim, dim) if skip else None
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x, skip=None):
        if self.skip is not None:
            x = self.skip(torch.cat([x, skip], dim=-1))
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class UViT(nn.Module):
    def __init__(self, size, patch, channels, dim, depth, heads):
        super().__init__()
        self.patch, self.channels, self.grid = patch, channels, size // patch
        self.embed = nn.Conv2d(channels, dim, patch, patch)
        self.tokens = nn.Parameter(torch.randn(2, dim))
        self.position = nn.Parameter(0.02 * torch.randn(3 + self.grid**2, dim))
        self.down = nn.ModuleList(Block(dim, heads, False) for _ in range(depth // 2))
        self.middle = Block(dim, heads, False)
        self.up = nn.ModuleList(Block(dim, heads, True) for _ in range(depth // 2))
        self.norm, self.decode = nn.LayerNorm(dim), nn.Linear(dim, patch * patch * channels)
        self.final = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x, t):
        n, dim = x.shape[0], self.position.shape[1]
        angles = t[:, None] * torch.exp(torch.arange(dim // 2, device=t.device) * (-9.210340371976184 / (dim // 2)))
        time_token = torch.cat([angles.cos(), angles.sin()], dim=1)[:, None]
        cls, condition = (token.expand(n, 1, dim) for token in self.tokens)
        h = torch.cat([cls, time_token, condition, self.embed(x).flatten(2).transpose(1, 2)], dim=1) + self.position
        skips = []
        for block in self.down:
            h = block(h)
            skips.append(h)
        h = self.middle(h)
        for block in self.up:
            h = block(h, skips.pop())
        h = self.decode(self.norm(h))[:, 3:].view(n, self.grid, self.grid, self.patch, self.patch, self.channels)
        return self.final(h.permute(0, 5, 1, 3, 2, 4).reshape(n, self.channels, self.grid * self.patch, -1))


def main():
    parser = argparse.ArgumentParser()
    for name, value in dict(size=8, patch=2, channels=1, dim=64, depth=5, heads=4, batch=128, rounds=20).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    args = parser.parse_args()
    net = UViT(args.size, args.patch, args.channels, args.dim, args.depth, args.heads).to(args.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=args.device != "cpu")
    if args.compile:
        net = torch.compile(net)
    data = torch.randn(args.batch, args.channels, args.size, args.size, device=args.device).clamp(-1, 1)
    times = []
    for _ in range(args.rounds + 3):
        start = time.perf_counter()
        noise, t = torch.randn_like(data), torch.rand(args.batch, device=args.device)
        wide = t[:, None, None, None]
        with torch.autocast(args.device, torch.bfloat16, enabled=args.bf16):
            velocity = net(wide * data + (1 - wide) * noise, t)
        loss = F.mse_loss(velocity.float(), data - noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if args.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    median = statistics.median(times[3:])
    print(f"| plain PyTorch {torch.__version__} step{', compiled' if args.compile else ''}{', bf16' if args.bf16 else ''}, {f'{torch.get_num_threads()} threads' if args.device == 'cpu' else args.device} | {1e3 * median:.2f} | {args.batch / median:.0f} | | |")


if __name__ == "__main__":
    main()
