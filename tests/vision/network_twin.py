"""The networks of the feature extractors, a second time and in Python: network_twin.py KIND WEIGHTS INPUT OUTPUT.

KIND is cifar (weights: a ResNet of akamaster/pytorch_resnet_cifar10), digits or mnist (configs/KIND_classifier.safetensors);
INPUT holds uint8 `images` [N, C, H, W]; OUTPUT gets `features` [N, 64] and `logits` [N, 10].
"""
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file


def cifar(w, images):
    def bn(x, key):
        scale = (w[key + ".weight"] / (w[key + ".running_var"] + 1e-5).sqrt()).view(-1, 1, 1)
        return (x - w[key + ".running_mean"].view(-1, 1, 1)) * scale + w[key + ".bias"].view(-1, 1, 1)

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((images.float() / 255).permute(0, 2, 3, 1) - mean).div(std).permute(0, 3, 1, 2)
    x = F.relu(bn(F.conv2d(x, w["conv1.weight"], padding=1), "bn1"))
    for layer in (1, 2, 3):
        block = 0
        while f"layer{layer}.{block}.conv1.weight" in w:
            key = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            h = F.relu(bn(F.conv2d(x, w[key + ".conv1.weight"], stride=stride, padding=1), key + ".bn1"))
            h = bn(F.conv2d(h, w[key + ".conv2.weight"], padding=1), key + ".bn2")
            if stride == 2:
                zeros = torch.zeros_like(h[:, : h.shape[1] // 4])
                x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
            x = F.relu(x + h)
            block += 1
    features = x.flatten(2).mean(2)
    return features, features @ w["linear.weight"].T + w["linear.bias"]


def digits(w, images):
    x = images.float() / 255
    for key in ("conv1", "conv2"):
        x = F.relu(F.conv2d(x, w[key + ".weight"], w[key + ".bias"], padding=1))
    x = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).amax(4).flatten(1)
    features = F.relu(x @ w["fc1.weight"].T + w["fc1.bias"])
    return features, features @ w["fc2.weight"].T + w["fc2.bias"]


def mnist(w, images):
    x = images.float() / 255
    for key in ("conv1", "conv2", "conv3"):
        x = F.relu(F.conv2d(x, w[key + ".weight"].float(), w[key + ".bias"].float(), padding=1))
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).amax(4)
    features = F.relu(x.flatten(1) @ w["fc1.weight"].float().T + w["fc1.bias"].float())
    return features, features @ w["fc2.weight"].float().T + w["fc2.bias"].float()


if __name__ == "__main__":
    kind, weights, source, target = sys.argv[1:]
    torch.set_num_threads(1)
    with torch.no_grad():
        out = {"cifar": cifar, "digits": digits, "mnist": mnist}[kind](load_file(weights), load_file(source)["images"])
    save_file({"features": out[0].contiguous(), "logits": out[1].contiguous()}, target)
