"""Writes query.json: what scikit-learn and scikit-activeml answer to seeded questions.

    pip install numpy==2.4.6 scikit-learn==1.9.1 scikit-activeml==1.0.1
    python query.py

Inputs are rounded to four decimals and then to single precision, so that both sides start from the same numbers and
the file stays small.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from skactiveml.pool import CoreSet, TypiClust
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

# Rows of probabilities sum to one only to single precision.
warnings.filterwarnings("ignore", "The y_prob values do not sum to one")
rng = np.random.default_rng(20)


def single(values):
    return np.round(values, 4).astype(np.float32).astype(np.float64)


def flat(values):
    return [round(float(v), 4) for v in np.asarray(values).ravel()]


def regression(films, width, classes, c, shift):
    """Features with a shifted mean, so that the unpenalised bias has something to do."""
    x = single(rng.normal(size=(films, width)) * np.linspace(0.2, 2.0, width) + shift)
    direction = rng.normal(size=(width, classes))
    logits = (x - shift) @ direction + rng.gumbel(size=(films, classes)) * 2.0
    y = logits.argmax(axis=1)
    model = LogisticRegression(C=c, solver="lbfgs", tol=1e-10, max_iter=100_000).fit(x, y)
    return {
        "width": width,
        "classes": classes,
        "l2": 1.0 / c,
        "x": flat(x),
        "y": y.tolist(),
        "coef": model.coef_.ravel().tolist(),
        "intercept": model.intercept_.ravel().tolist(),
        "probabilities": model.predict_proba(x).ravel().tolist(),
    }


class Given:
    """A clustering that is known beforehand, in the shape that TypiClust asks for."""

    labels = None

    def __init__(self, n_clusters=1):
        self.n_clusters = n_clusters

    def fit_predict(self, x):
        return Given.labels


def blobs(sizes, width):
    """Rows of length one around one random centre per size, shuffled; the centre of each row."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), width)) * 2.0
    x = centres[labels] + rng.normal(size=(len(labels), width))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    order = rng.permutation(len(labels))
    return single(x[order]), labels[order]


def typiclust():
    """Clusters of 40 films and more: there both have 20 neighbours. scikit-activeml visits unlabelled clusters only."""
    x, labels = blobs([41, 44, 47, 52, 55, 61], 16)
    labelled = [int(np.flatnonzero(labels == 5)[3]), int(np.flatnonzero(labels == 2)[0])]
    y = np.full(len(x), np.nan)
    y[labelled] = 0
    Given.labels = labels
    query = TypiClust(cluster_algo=Given, n_cluster_param_name="n_clusters", k=20, random_state=0)
    selected = query.query(x, y, batch_size=4)
    return {
        "width": 16,
        "x": flat(x),
        "assignment": labels.tolist(),
        "labelled": labelled,
        "selected": selected.tolist(),
    }


def typiclust_by_the_recipe():
    """Small clusters, several rounds: the paper's order and its min(20, m // 2) neighbours, written out slowly."""
    x, labels = blobs([3, 5, 6, 9, 14, 30, 33], 8)
    labelled = [int(i) for i in np.flatnonzero(labels == 6)[:2]] + [int(np.flatnonzero(labels == 4)[0])]
    left = [i for i in range(len(x)) if i not in labelled]
    sizes = np.bincount(labels)
    labels_in = np.bincount(labels[labelled], minlength=len(sizes))
    order = sorted((c for c in range(len(sizes)) if sizes[c] > 5), key=lambda c: (labels_in[c], -sizes[c]))
    selected, typicalities = [], []
    for step in range(12):
        members = [i for i in left if labels[i] == order[step % len(order)]]
        best = (-1.0, None)
        for i in members:
            distances = sorted(np.linalg.norm(x[i] - x[j]) for j in members if j != i)
            k = min(20, len(members) // 2)
            best = max(best, (1.0 / (np.mean(distances[:k]) + 1e-5), i))
        selected.append(best[1])
        typicalities.append(best[0])
        left.remove(best[1])
    return {
        "width": 8,
        "x": flat(x),
        "assignment": labels.tolist(),
        "labelled": labelled,
        "selected": selected,
        "typicality": typicalities,
    }


def k_center():
    x, _ = blobs([100, 100, 100], 16)
    labelled = [7, 150, 222]
    y = np.full(len(x), np.nan)
    y[labelled] = 0
    selected = CoreSet(random_state=0).query(x, y, batch_size=25)
    return {"width": 16, "x": flat(x), "labelled": labelled, "selected": selected.tolist()}


def k_means():
    x, _ = blobs([80, 90, 130], 16)
    start = x[[0, 50, 100, 150, 200, 250, 299]]
    model = KMeans(n_clusters=7, init=start, n_init=1, max_iter=500, tol=0.0, algorithm="lloyd").fit(x)
    return {
        "width": 16,
        "x": flat(x),
        "start": flat(start),
        "assignment": model.labels_.tolist(),
        "inertia": float(model.inertia_),
    }


def metrics(classes):
    """Scores rounded to tenths or hundredths, so that many are tied."""
    films = int(rng.integers(20, 120))
    y = rng.integers(0, classes, films)
    y[:classes] = np.arange(classes)
    p = rng.dirichlet(np.ones(classes), films) + 0.7 * np.eye(classes)[y] * rng.random((films, 1))
    p = np.round(p / p.sum(axis=1, keepdims=True), int(rng.integers(1, 3)))
    p[:, -1] = 1.0 - p[:, :-1].sum(axis=1)
    p = single(np.clip(p, 0.0, 1.0))
    predicted = p.argmax(axis=1)
    brier = brier_score_loss(y, p)
    return {
        "classes": classes,
        "p": flat(p),
        "y": y.tolist(),
        "auroc": float(roc_auc_score(y == 1, p[:, 1])),
        "balanced_accuracy": float(balanced_accuracy_score(y, predicted)),
        "confusion": confusion_matrix(y, predicted, labels=range(classes)).ravel().tolist(),
        "brier": float(brier),
        "log_loss": float(log_loss(y, p)),
    }


answers = {
    "regression": [
        regression(60, 8, 2, 1.0, 0.0),
        regression(200, 20, 2, 0.05, 1.5),
        regression(30, 40, 2, 0.1, 0.0),
        regression(150, 6, 3, 1.0, 0.5),
        regression(80, 12, 4, 0.2, 0.0),
    ],
    "typiclust": typiclust(),
    "typiclust_recipe": typiclust_by_the_recipe(),
    "k_center": k_center(),
    "k_means": k_means(),
    "metrics": [metrics(2) for _ in range(30)] + [metrics(3) for _ in range(10)],
}
Path(__file__).with_name("query.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
