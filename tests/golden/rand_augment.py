"""Writes rand_augment.json: what Pillow makes of RandAugment's operations, on one image of 64 x 64 grey levels.

    pip install numpy==2.4.6 pillow==13.0.0
    python rand_augment.py

The operations and their ranges are those of google-research/fixmatch's `augmentations.py`, but for bilinear sampling.
The image is a formula, so that only results are stored, and of these each 13th pixel.
"""

import json
import pathlib

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

y, x = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
wave = (7 * x * x + 13 * y + 3 * x * y) % 251
image = Image.fromarray((30 + wave * wave // 331).astype(np.uint8))
BILINEAR = Image.Resampling.BILINEAR


def affine(*matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=BILINEAR)


def turned(degrees):
    """Pillow turns counter-clockwise by positive degrees; which side is which does not matter to a random view."""
    return image.rotate(degrees, resample=BILINEAR)


def enhanced(enhancer, level):
    return enhancer(image).enhance(0.1 + 1.8 * level)


operations = {
    "Identity": lambda level, side: image,
    "AutoContrast": lambda level, side: ImageOps.autocontrast(image),
    "Equalize": lambda level, side: ImageOps.equalize(image),
    "Rotate": lambda level, side: turned(side * 30 * level),
    "Contrast": lambda level, side: enhanced(ImageEnhance.Contrast, level),
    "Brightness": lambda level, side: enhanced(ImageEnhance.Brightness, level),
    "Sharpness": lambda level, side: enhanced(ImageEnhance.Sharpness, level),
    "ShearX": lambda level, side: affine(1, side * 0.3 * level, 0, 0, 1, 0),
    "ShearY": lambda level, side: affine(1, 0, 0, side * 0.3 * level, 1, 0),
    "TranslateX": lambda level, side: affine(1, 0, side * 64 * 10 / 32 * level, 0, 1, 0),
    "TranslateY": lambda level, side: affine(1, 0, 0, 0, 1, side * 64 * 10 / 32 * level),
}
plain = ("Identity", "AutoContrast", "Equalize")
enhancers = ("Contrast", "Brightness", "Sharpness")
cases = []
for name, operation in operations.items():
    for level, side in [(0.1, 1), (0.9, 1)] if name in enhancers else [(0.5, 1)] if name in plain else [(0.3, 1), (0.8, -1)]:
        levels = np.asarray(operation(level, side)).ravel()[::13].tolist()
        cases.append({"operation": name, "level": level, "side": side, "levels": levels})
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
