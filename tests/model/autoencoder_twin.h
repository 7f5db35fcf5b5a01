#pragma once
// The KL autoencoder of Rombach et al. written from its equations in PyTorch, under the names of CompVis.

namespace sdg::test {

/// Defines `make(mult, attend, middle, z, embed)`: widths 32 * mult, attention on the levels of the set `attend`, in
/// the middle too if `middle`; embed = 0 leaves quant_conv and post_quant_conv out.
inline constexpr const char* kAutoencoderTwin = R"(
import sys, torch
from torch import nn
from torch.nn import functional as F
from safetensors.torch import save_file
norm = lambda c: nn.GroupNorm(32, c, eps=1e-6)
class Block(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norm1, self.conv1 = norm(i), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = norm(o), nn.Conv2d(o, o, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(i, o, 1) if i != o else nn.Identity()
    def forward(self, x):
        h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return self.nin_shortcut(x) + h
class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))
    def forward(self, x):
        h = self.norm(x)
        q, k, v = (m(h).flatten(2) for m in (self.q, self.k, self.v))
        weight = torch.einsum('bci,bcj->bij', q, k) * x.shape[1] ** -0.5
        return x + self.proj_out(torch.einsum('bij,bcj->bci', weight.softmax(2), v).view_as(x))
def middle_of(c, attend):
    m = nn.Module()
    m.block_1, m.block_2 = Block(c, c), Block(c, c)
    m.attn_1 = Attention(c) if attend else nn.Identity()
    return m
def resampler(c, stride):
    m = nn.Module()
    m.conv = nn.Conv2d(c, c, 3, stride=stride, padding=0 if stride == 2 else 1)
    return m
def level(i, o, blocks, attend):
    m = nn.Module()
    m.block = nn.ModuleList(Block(i if j == 0 else o, o) for j in range(blocks))
    m.attn = nn.ModuleList(Attention(o) for j in range(blocks if attend else 0))
    return m
def through(m, x):
    for j, block in enumerate(m.block):
        x = block(x)
        if len(m.attn): x = m.attn[j](x)
    return x
class Autoencoder(nn.Module):
    def __init__(self, mult, attend, middle, z, embed):
        super().__init__()
        widths, last = [32 * m for m in mult], len(mult) - 1
        e = self.encoder = nn.Module()
        e.conv_in, c = nn.Conv2d(3, 32, 3, padding=1), 32
        e.down = nn.ModuleList()
        for i, w in enumerate(widths):
            e.down.append(level(c, w, 1, i in attend)); c = w
            if i != last: e.down[i].downsample = resampler(c, 2)
        e.mid, e.norm_out, e.conv_out = middle_of(c, middle), norm(c), nn.Conv2d(c, 2 * z, 3, padding=1)
        d = self.decoder = nn.Module()
        d.conv_in, d.mid, ups = nn.Conv2d(z, c, 3, padding=1), middle_of(c, middle), []
        for i in reversed(range(len(mult))):
            up = level(c, widths[i], 2, i in attend); c = widths[i]
            if i != 0: up.upsample = resampler(c, 1)
            ups.insert(0, up)
        d.up, d.norm_out, d.conv_out = nn.ModuleList(ups), norm(c), nn.Conv2d(c, 3, 3, padding=1)
        if embed: self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * z, 2 * embed, 1), nn.Conv2d(embed, z, 1)
    def moments(self, x):
        e = self.encoder; h = e.conv_in(x)
        for m in e.down:
            h = through(m, h)
            if hasattr(m, 'downsample'): h = m.downsample.conv(F.pad(h, (0, 1, 0, 1)))
        h = e.mid.block_2(e.mid.attn_1(e.mid.block_1(h)))
        h = e.conv_out(F.silu(e.norm_out(h)))
        return self.quant_conv(h) if hasattr(self, 'quant_conv') else h
    def decode(self, z):
        d = self.decoder; h = d.conv_in(self.post_quant_conv(z) if hasattr(self, 'post_quant_conv') else z)
        h = d.mid.block_2(d.mid.attn_1(d.mid.block_1(h)))
        for m in reversed(d.up):
            h = through(m, h)
            if hasattr(m, 'upsample'): h = m.upsample.conv(F.interpolate(h, scale_factor=2.0, mode='nearest'))
        return d.conv_out(F.silu(d.norm_out(h)))
def make(mult, attend, middle, z, embed):
    torch.manual_seed(7)
    net = Autoencoder(mult, attend, middle, z, embed)
    with torch.no_grad():  # attention that does something, norms that are not the identity
        for name, p in net.named_parameters():
            if p.dim() > 1: p.mul_(1.5)
            else: p.add_(0.2 * torch.randn_like(p))
    return net
def diffusers_names(state, levels):
    out = {}
    for name, value in state.items():
        p = name.split('.')
        attn = {'norm': 'group_norm', 'q': 'to_q', 'k': 'to_k', 'v': 'to_v', 'proj_out': 'to_out.0'}
        if len(p) > 3 and p[1] in ('down', 'up'):
            i = int(p[2]) if p[1] == 'down' else levels - 1 - int(p[2])
            head = f'{p[0]}.{p[1]}_blocks.{i}.'
            if p[3] == 'block': name = head + f'resnets.{p[4]}.' + '.'.join(p[5:]).replace('nin_shortcut', 'conv_shortcut')
            elif p[3] == 'attn': name = head + f'attentions.{p[4]}.{attn[p[5]]}.{p[6]}'; value = value.squeeze(-1).squeeze(-1)
            else: name = head + {'downsample': 'downsamplers', 'upsample': 'upsamplers'}[p[3]] + '.0.' + '.'.join(p[4:])
        elif len(p) > 3 and p[1] == 'mid':
            if p[2] == 'attn_1': name = f'{p[0]}.mid_block.attentions.0.{attn[p[3]]}.{p[4]}'; value = value.squeeze(-1).squeeze(-1)
            else: name = f'{p[0]}.mid_block.resnets.{int(p[2][-1]) - 1}.' + '.'.join(p[3:])
        out[name.replace('.norm_out', '.conv_norm_out')] = value
    return out
)";

}  // namespace sdg::test
