"""Writes propagation.json: what scikit-learn's LabelSpreading makes of a few labels among seeded films.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    python propagation.py

scikit-learn counts a film among its own neighbours, so `n_neighbors` is one more than the graph's. Its own 30 rounds do
not reach the limit at an alpha of .95; here it goes on until nothing changes.
"""

import json
import pathlib

import numpy as np
from sklearn.semi_supervised import LabelSpreading

rng = np.random.default_rng(22)
WIDTH, CLASSES, NEIGHBOURS = 6, 3, 7


def films(count):
    x = rng.normal(size=(count, WIDTH)) + 1.6 * np.eye(WIDTH)[rng.integers(0, CLASSES, count)]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.round(x, 4).astype(np.float32).astype(np.float64)


x, queries = films(90), films(12)
nearest = x[:, :CLASSES].argmax(axis=1)
rows = sorted(int(row) for c in range(CLASSES) for row in np.flatnonzero(nearest == c)[: 2 + 3 * c])
y = np.full(len(x), -1)
y[rows] = nearest[rows]
model = LabelSpreading(kernel="knn", n_neighbors=NEIGHBOURS + 1, alpha=0.95, max_iter=100_000, tol=1e-13).fit(x, y)


def flat(values, digits):
    return [round(float(value), digits) for value in np.asarray(values).ravel()]


golden = {
    "width": WIDTH,
    "classes": CLASSES,
    "neighbours": NEIGHBOURS,
    "x": flat(x, 4),
    "queries": flat(queries, 4),
    "rows": rows,
    "labels": nearest[rows].tolist(),
    "distributions": flat(model.label_distributions_, 7),
    "votes": flat(model.predict_proba(queries), 7),
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
