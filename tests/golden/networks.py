"""Writes networks.json: what torchvision's ResNets and a rendering of SimCLR v2's compute from seeded weights.

    pip install numpy==2.4.6 torch==2.15.0 torchvision==0.29.2
    python networks.py

Weights are single-precision numbers, the arithmetic is double. Of each stage's output six evenly spaced values are kept, of the features 32, and of some batch norms the first four
running statistics after one pass in training. The rendering follows the description of google-research/simclr's
`resnet.py`: projection shortcuts in every group, TensorFlow's "same" max pooling, selective kernels with ResNet-D's stem
and shortcut.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from seeded import array, films

torch.set_num_threads(2)


def spaced(tensor, count):
    flat = tensor.detach().flatten()
    return [flat[i * (len(flat) - 1) // (count - 1)].item() for i in range(count)]


def layer(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False), nn.BatchNorm2d(outputs)


class Squeeze(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv, self.norm = layer(inputs, outputs, 1)


class SelectiveKernel(nn.Module):
    def __init__(self, channels):
        super().__init__()
        middle = max(int(channels * 0.0625), 32)
        self.squeeze = Squeeze(channels, middle)
        self.excite = nn.Conv2d(middle, 2 * channels, 1, bias=False)

    def forward(self, x):
        branches = torch.stack(x.chunk(2, 1))
        whole = branches.sum(0).mean((2, 3), keepdim=True)
        scores = self.excite(F.relu(self.squeeze.norm(self.squeeze.conv(whole))))
        return (branches * torch.stack(scores.chunk(2, 1)).softmax(0)).sum(0)


class Block(nn.Module):
    def __init__(self, inputs, channels, stride, project, bottleneck, selective):
        super().__init__()
        outputs = channels * 4 if bottleneck else channels
        if bottleneck:
            self.conv1, self.bn1 = layer(inputs, channels, 1)
            self.conv2, self.bn2 = layer(channels, channels * 2 if selective else channels, 3, stride)
            self.conv3, self.bn3 = layer(channels, outputs, 1)
        else:
            self.conv1, self.bn1 = layer(inputs, channels, 3, stride)
            self.conv2, self.bn2 = layer(channels, channels, 3)
        self.stride, self.bottleneck = stride, bottleneck
        self.sk = SelectiveKernel(channels) if selective else None
        self.downsample = nn.Sequential(*layer(inputs, outputs, 1, 1 if selective else stride)) if project else None

    def shortcut(self, x):
        if self.downsample is None:
            return x
        if self.sk is not None and self.stride > 1:
            x = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, self.stride)
        elif self.sk is not None:
            ones = F.pad(torch.ones_like(x[:1, :1]), (0, 1, 0, 1))
            x = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 1) / F.avg_pool2d(ones, 2, 1)
        return self.downsample(x)

    def forward(self, x):
        shortcut = self.shortcut(x)
        x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            x = F.relu(x)
            x = x if self.sk is None else self.sk(x)
            x = self.bn3(self.conv3(x))
        return F.relu(x + shortcut)


class Simclr(nn.Module):
    def __init__(self, blocks, bottleneck, selective, width, stem):
        super().__init__()
        base = int(64 * width)
        self.deep = selective and stem == "standard"
        self.pooled = stem == "standard"
        if self.deep:
            self.conv1, self.bn1 = layer(1, base // 2, 3, 2)
            self.stem = nn.ModuleList([Squeeze(1, 1), Squeeze(1, 1)])
            self.stem[0].conv, self.stem[0].norm = layer(base // 2, base // 2, 3)
            self.stem[1].conv, self.stem[1].norm = layer(base // 2, base, 3)
        else:
            kernel, stride = {"standard": (7, 2), "small": (3, 2), "cifar": (3, 1)}[stem]
            self.conv1, self.bn1 = layer(1, base, kernel, stride)
        inputs = base
        for group, count in enumerate(blocks):
            channels = base << group
            made = []
            for block in range(count):
                stride = 2 if block == 0 and group > 0 else 1
                made.append(Block(inputs, channels, stride, block == 0, bottleneck, selective))
                inputs = channels * 4 if bottleneck else channels
            setattr(self, f"layer{group + 1}", nn.Sequential(*made))
        self.maxpool = nn.Identity()

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.deep:
            for part in self.stem:
                x = F.relu(part.norm(part.conv(x)))
        if self.pooled:
            before = [size % 2 for size in x.shape[2:]]
            x = F.max_pool2d(F.pad(x, (before[1], 1, before[0], 1), value=-torch.inf), 3, 2)
        x = self.maxpool(x)
        for group in range(4):
            x = getattr(self, f"layer{group + 1}")(x)
        return x.mean((2, 3))


def watched(network):
    """Batch norms whose statistics are kept: the stem's and the last of each group."""
    names = ["bn1"]
    for group in range(1, 5):
        norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
        names.append([name for name in norms if name.startswith(f"layer{group}.") and ".bn" in name][-1])
    return names


def case(network, count, size, channels, **facts):
    state = network.state_dict()
    network.load_state_dict({
        name: torch.tensor(array(name, tuple(value.shape))) if value.is_floating_point() else value
        for name, value in state.items()
    })
    stages, positions = [], {}
    for name in ["maxpool", "layer1", "layer2", "layer3", "layer4"]:
        getattr(network, name).register_forward_hook(lambda _, __, output: stages.append(spaced(output, 6)))
    names = watched(network)
    for name in names:
        def note(_, inputs, __, name=name):
            positions[name] = inputs[0].numel() // inputs[0].shape[1]
        network.get_submodule(name).register_forward_hook(note)
    x = torch.tensor(films(count, size)).double().expand(-1, channels, -1, -1)
    network.double()
    result = dict(facts, films=count, size=size, channels=channels)
    for mode, training in [("inference", False), ("training", True)]:
        stages.clear()
        with torch.no_grad():
            features = network.train(training)(x)
        result[mode] = {"stages": list(stages), "features": spaced(features, 32)}
    result["statistics"] = {
        name: {
            "positions": positions[name],
            "mean": network.get_submodule(name).running_mean[:4].tolist(),
            "variance": network.get_submodule(name).running_var[:4].tolist(),
        }
        for name in names
    }
    return result


def torchvisions():
    for depth, size, channels in [(18, 64, 3), (18, 224, 3), (18, 64, 1), (50, 64, 3), (50, 224, 3)]:
        network = getattr(torchvision.models, f"resnet{depth}")()
        network.fc = nn.Identity()
        if channels == 1:
            network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        blocks = {18: [2, 2, 2, 2], 50: [3, 4, 6, 3]}[depth]
        name = f"resnet{depth}, {channels} channels, {size} px"
        yield case(network, 2, size, channels, name=name, depth=depth, blocks=blocks)


def simclrs():
    for depth, selective, width, stem, size in [
        (18, False, 0.25, "standard", 64),
        (14, False, 0.25, "small", 33),
        (14, True, 0.25, "standard", 70),
        (50, True, 0.125, "standard", 96),
        (14, True, 0.25, "cifar", 17),
    ]:
        blocks = {14: [1, 1, 1, 1], 18: [2, 2, 2, 2], 50: [3, 4, 6, 3]}[depth]
        network = Simclr(blocks, depth != 18, selective, width, stem)
        name = f"{depth} layers, selective {selective}, {stem} stem, {size} px"
        yield case(network, 6, size, 1, name=name, depth=depth, blocks=blocks, selective=selective, width=width, stem=stem)


def rounded(value):
    if isinstance(value, float):
        return float(np.format_float_positional(value, precision=7, fractional=False))
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


golden = rounded({"torchvision": list(torchvisions()), "simclr": list(simclrs())})
Path(__file__).with_name("networks.json").write_text(json.dumps(golden) + "\n")
