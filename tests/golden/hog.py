"""Writes hog.json: scikit-image's histograms of oriented gradients of two images.

    pip install numpy==2.4.6 scikit-image==0.26.0
    python hog.py

The images are a formula, so that only results are stored, and of these each seventh value.
"""

import json
import pathlib

import numpy as np
from skimage.feature import hog


def case(width, height):
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    # Single precision, so that both sides start from the same numbers.
    image = ((7 * x * x + 13 * y + 3 * x * y) % 251 / np.float32(250.0)).astype(np.float32).astype(np.float64)
    values = hog(image, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2), block_norm="L2-Hys")
    kept = [round(float(value), 7) for value in values[::7]]
    return {"width": width, "height": height, "length": len(values), "values": kept}


cases = [case(64, 64), case(40, 29)]
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
