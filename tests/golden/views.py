"""Writes views.json: what torchvision makes of the geometry of views and of resizing, on one image of 64 x 64 pixels.

    pip install torch==2.15.0 torchvision==0.29.2
    python views.py

The image is a formula, so that only results are stored, and of these each 29th pixel.
"""

import json
import pathlib

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

BILINEAR, BICUBIC = InterpolationMode.BILINEAR, InterpolationMode.BICUBIC
y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
image = ((7 * x * x + 13 * y + 3 * x * y) % 251 / 250.0).to(torch.float32)[None]


def resized(size):
    """Of half the contrast, so that nothing overshoots: between its two passes the other side clips to 0..1."""
    return TF.resize(image / 2 + 0.25, [size, size], interpolation=BICUBIC, antialias=True)


golden = {
    # Rows 5..45 and columns 9..61.
    "crop": TF.resized_crop(image, 5, 9, 40, 52, [32, 32], interpolation=BILINEAR, antialias=False),
    "flip": TF.horizontal_flip(image),
    # Degrees counter-clockwise.
    "rotate": TF.rotate(image, 10.0, interpolation=BILINEAR),
    "resize_24": resized(24),
    "resize_96": resized(96),
}
kept = {name: [round(value, 6) for value in picture.flatten().tolist()[::29]] for name, picture in golden.items()}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(kept, separators=(",", ":")) + "\n")
