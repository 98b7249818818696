"""ResNet-18 on the CPU: `penumbra bench` and PyTorch in turn, as a Markdown table.

    pip install torch
    cargo build --release
    python3 benches/compare_torch.py target/release/penumbra

Both build the same network (one input channel, a projection shortcut in every group, two classes) and take the same
steps on the same number of threads; each cell is a process of its own, so that the peak memory is its own. PyTorch runs
channels-last and contiguous, and the faster of the two counts.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

CELLS = [(64, 32), (96, 16), (128, 16), (224, 16)]
WARM_UP = 3


def network(width):
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride, project):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.shortcut = nn.Identity()
            if project:
                conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

        def forward(self, x):
            hidden = self.relu(self.norm1(self.conv1(x)))
            return self.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))

    channels = [round(64 * width) << group for group in range(4)]
    layers = [
        nn.Conv2d(1, channels[0], 7, 2, 3, bias=False),
        nn.BatchNorm2d(channels[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = channels[0]
    for group, outputs in enumerate(channels):
        layers.append(Block(inputs, outputs, 1 if group == 0 else 2, True))
        layers.append(Block(outputs, outputs, 1, False))
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 2))


def torch_cell(work, width, size, batch, steps, threads, channels_last):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = network(width)
    films = torch.rand(batch, 1, size, size)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        films = films.to(memory_format=torch.channels_last)
    classes = torch.zeros(batch, dtype=torch.long)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    model.train(work == "train")
    seconds = []
    for step in range(WARM_UP + steps):
        started = time.perf_counter()
        if work == "train":
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(films), classes).backward()
            optimizer.step()
        else:
            with torch.inference_mode():
                model(films).sum().item()
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"images_per_second": batch / statistics.median(seconds), "peak_rss_mib": peak}


def run(command, environment=None):
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(program, work, width, size, batch, steps, threads, rounds):
    cell = ["--width", str(width), "--size", str(size), "--batch", str(batch), "--steps", str(steps)]
    own, peers = [], {True: [], False: []}
    for _ in range(rounds):
        options = ["--arch", "resnet18", *cell, "--device", "cpu", "--threads", str(threads)]
        own.append(run([program, "bench", work, *options, "--json"]))
        for last, found in peers.items():
            options = ["--worker", work, "--threads", str(threads), *cell]
            layout = ["--channels-last"] if last else []
            found.append(run([sys.executable, __file__, *options, *layout]))

    def middle(found, key):
        return statistics.median(result[key] for result in found)

    peer = max(peers.values(), key=lambda found: middle(found, "images_per_second"))
    speed = [middle(found, "images_per_second") for found in (own, peer)]
    memory = [middle(found, "peak_rss_mib") for found in (own, peer)]
    print(
        f"| {work} | {width:g} | {size} | {batch} | {speed[0]:.0f} | {speed[1]:.0f} | {speed[0] / speed[1]:.2f} "
        f"| {memory[0]:.0f} | {memory[1]:.0f} | {memory[0] / memory[1]:.2f} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default="target/release/penumbra")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--widths", default="1,0.5")
    parser.add_argument("--works", default="train,infer")
    parser.add_argument("--sizes", default="64,96,128,224")
    parser.add_argument("--worker", choices=["train", "infer"], help=argparse.SUPPRESS)
    parser.add_argument("--width", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--channels-last", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        shape = (args.width, args.size, args.batch, args.steps, args.threads)
        print(json.dumps(torch_cell(args.worker, *shape, args.channels_last)))
        return
    print("| work | width | px | batch | images/s | PyTorch | ratio | peak MiB | PyTorch | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    sizes = [int(size) for size in args.sizes.split(",")]
    for work in args.works.split(","):
        for width in (float(width) for width in args.widths.split(",")):
            for size, batch in CELLS:
                if size in sizes:
                    compare(args.program, work, width, size, batch, args.steps, args.threads, args.rounds)


if __name__ == "__main__":
    main()
