"""Writes strategies.json: what scikit-activeml and scikit-learn answer to seeded questions about query strategies.

    pip install numpy==2.4.6 scikit-learn==1.9.1 scikit-activeml==1.0.1
    python strategies.py

Inputs are rounded to single precision, so that both sides start from the same numbers.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from skactiveml.base import SkactivemlClassifier
from skactiveml.pool import Badge, ProbCover, _badge, _prob_cover, uncertainty_scores
from skactiveml.pool._bald import batch_bald
from skactiveml.utils import check_random_state
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

# Rows of probabilities sum to one only to single precision.
warnings.filterwarnings("ignore", "`probas` are invalid")
rng = np.random.default_rng(21)


def single(values, decimals=4):
    return np.round(values, decimals).astype(np.float32).astype(np.float64)


def flat(values, decimals=4):
    return [round(float(v), decimals) for v in np.asarray(values).ravel()]


def blobs(sizes, width):
    """Rows of length one around one random centre per size, shuffled; the centre of each row."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), width)) * 1.5
    x = centres[labels] + rng.normal(size=(len(labels), width))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    order = rng.permutation(len(labels))
    return single(x[order]), labels[order]


def committee(members, films, classes):
    """Members that agree on some films: members x films x classes."""
    logits = rng.normal(size=(1, films, classes)) * 2 + rng.normal(size=(members, films, classes))
    p = np.exp(logits)
    p = single(p / p.sum(axis=2, keepdims=True))
    p[:, :, -1] = 1.0 - p[:, :, :-1].sum(axis=2)
    return single(p)


def published_batch_bald():
    """The question of scikit-activeml's test_bald.py, whose first four answers batchbald_redux gave without sampling."""
    p = np.random.RandomState(0).random(2 * 200 * 10).reshape((10, 200, 2))
    p /= p.sum(axis=-1, keepdims=True)
    first = p[:, :, 0].astype(np.float32)
    return {
        "first_class": [float(f"{v:.9g}") for v in first.ravel()],
        "published": [0.26082319, 0.51374567, 0.73904878, 0.93539158],
    }


def bald(members, films, classes, batch):
    """As many samples as configurations, which makes scikit-activeml enumerate them all."""
    p = committee(members, films, classes)
    utilities = batch_bald(p.copy(), batch, n_MC_samples=classes ** (batch - 1), random_state=0)
    return {
        "classes": classes,
        "members": [flat(member) for member in p],
        "bald": utilities[0].tolist(),
        "selected": np.nanargmax(utilities, axis=1).tolist(),
        "joint": np.nanmax(utilities, axis=1).tolist(),
    }


def epig(members, films, targets, classes):
    """The mean divergence of the joint distribution of two labels from the product of both: the paper's definition."""
    p, q = committee(members, films, classes), committee(members, targets, classes)
    joint = np.einsum("kna,kmb->nmab", p, q) / members
    product = np.einsum("na,mb->nmab", p.mean(axis=0), q.mean(axis=0))
    values = (joint * np.log(joint / product)).sum(axis=(2, 3)).mean(axis=1)
    return {
        "classes": classes,
        "films": [flat(member) for member in p],
        "targets": [flat(member) for member in q],
        "epig": values.tolist(),
    }


class Known(SkactivemlClassifier):
    """A classifier whose probabilities of all films are known beforehand."""

    def __init__(self, classes=None, missing_label=np.nan, cost_matrix=None, random_state=None):
        super().__init__(classes, missing_label, cost_matrix, random_state)

    def fit(self, X, y, sample_weight=None):
        return self

    def predict_proba(self, X):
        return np.array([Known.probabilities[row.tobytes()] for row in X])


def distances_without_origin():
    """scikit-activeml counts the origin as a centre from the second film on; neither paper nor authors' code do."""
    original, first = _badge._d_2, []

    def d_2(gradients, selected, latest=None):
        if latest is None:
            first.append(original(gradients, selected))
            return first[-1]
        if any(latest is lengths for lengths in first):
            latest = np.full(len(gradients), np.inf)
        return original(gradients, selected, latest)

    _badge._d_2 = d_2


def badge(x, classes, batch):
    p = committee(1, len(x), classes)[0]
    Known.probabilities = {row.tobytes(): value for row, value in zip(x, p)}
    labelled = [7, 150, 222]
    y = np.full(len(x), np.nan)
    y[labelled] = 0
    clf = Known(classes=list(range(classes)))
    selected = Badge(random_state=5).query(x, y, clf, fit_clf=False, batch_size=batch)
    # One number a film but the first, as numpy's choice draws it from what scikit-activeml makes of its seed.
    state = check_random_state(5, len(x) - len(labelled) + 1)
    draws = state.random(batch - 1)
    # What scikit-activeml saw of the distances, written out slowly.
    factor = p - np.eye(classes)[p.argmax(axis=1)]
    gradients = (factor[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    distances = [np.linalg.norm(gradients[selected[0]])]
    for step in range(1, batch):
        to_earlier = gradients[selected[:step]] - gradients[selected[step]]
        distances.append(np.linalg.norm(to_earlier, axis=1).min())
    return {
        "classes": classes,
        "probabilities": flat(p),
        "labelled": labelled,
        "draws": draws.tolist(),
        "selected": [int(i) for i in selected],
        "distances": distances,
    }


class Given:
    """A clustering that is known beforehand, in the shape that ProbCover asks for."""

    labels = None

    def __init__(self, n_clusters=1):
        self.n_clusters = n_clusters

    def fit_predict(self, x):
        return Given.labels


def prob_cover(x, centres):
    """Every film's distance to the nearest of another cluster, less a little, is tried as a radius; of equals the first."""
    _prob_cover.rand_argmax = lambda utilities, random_state: [np.nanargmax(utilities)]
    Given.labels = centres // 3
    distances = euclidean_distances(x)
    other = Given.labels[:, None] != Given.labels
    deltas = np.sort(np.where(other, distances, np.inf).min(axis=1)) * (1 - 1e-9)
    labelled = [3, 90]
    y = np.full(len(x), np.nan)
    y[labelled] = 0
    query = ProbCover(n_classes=2, deltas=deltas, alpha=0.95, cluster_algo=Given, random_state=0)
    selected, utilities = query.query(x, y, batch_size=12, return_utilities=True)
    return {
        "assignment": Given.labels.tolist(),
        "labelled": labelled,
        "radius": float(query.delta_max_),
        "selected": selected.tolist(),
        "covered": [int(np.nanmax(row)) for row in utilities],
    }


def density_weighted(x):
    p = committee(1, len(x), 2)[0]
    labelled = [0, 100, 200, 250]
    left = [i for i in range(len(x)) if i not in labelled]
    entropy = uncertainty_scores(p[left], method="entropy")
    density = (1 + cosine_similarity(x[left]).mean(axis=1)) / 2
    return {
        "probabilities": flat(p),
        "labelled": labelled,
        "films": left,
        "scores": (entropy * density).tolist(),
    }


distances_without_origin()
x, centres = blobs([40, 55, 45, 60, 50, 50], 16)
answers = {
    "width": 16,
    "x": flat(x),
    "published_batch_bald": published_batch_bald(),
    "batch_bald": [bald(10, 80, 2, 10), bald(6, 40, 3, 5)],
    "batch_bald_many": bald(10, 50, 3, 8),
    "epig": [epig(10, 40, 25, 2), epig(7, 20, 30, 3)],
    "badge": [badge(x, 2, 20), badge(x, 3, 20)],
    "prob_cover": prob_cover(x, centres),
    "density_weighted": density_weighted(x),
}
Path(__file__).with_name("strategies.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
