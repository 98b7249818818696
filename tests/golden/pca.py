"""Writes pca.json: scikit-learn's principal components of two seeded matrices.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    python pca.py

Inputs are rounded to four decimals and then to single precision, so that both sides start from the same numbers. Of the
scores the first five rows are kept.
"""

import json
import pathlib

import numpy as np
from sklearn.decomposition import PCA

rng = np.random.default_rng(21)


def case(films, width, decay, components):
    """Independent directions whose deviations fall off, turned at random and shifted."""
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    x = rng.normal(size=(films, width)) * decay ** np.arange(width) @ turn + rng.normal(size=width)
    x = np.round(x, 4).astype(np.float32).astype(np.float64)
    model = PCA(components, svd_solver="full").fit(x)
    return {
        "width": width,
        "components": components,
        "x": [round(float(value), 4) for value in x.ravel()],
        "variances": model.explained_variance_.tolist(),
        "scores": [round(float(value), 7) for value in model.transform(x)[:5].ravel()],
    }


# The second has fewer films than dimensions and asks for all that is there.
cases = [case(90, 40, 0.85, 6), case(14, 30, 0.9, 13)]
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
