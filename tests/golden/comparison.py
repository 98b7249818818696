"""Writes comparison.json: what SciPy, statsmodels and DeLong's variance say of seeded predictions.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 scikit-learn==1.9.1
    python comparison.py

Two runs on the same films each; probabilities are rounded to four decimals, which makes ties. The intervals of the
bootstrap are SciPy's own, paired and percentile; DeLong's standard error of the difference of two areas (DeLong, DeLong
and Clarke-Pearson 1988) is written out below from its definition.
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

rng = np.random.default_rng(7)


def delong(truth, first, second):
    positive, negative = truth == 1, truth == 0
    m, n = positive.sum(), negative.sum()
    places = []
    for scores in (first, second):
        wins = (scores[positive][:, None] > scores[negative][None]).astype(float)
        wins += 0.5 * (scores[positive][:, None] == scores[negative][None])
        places.append((wins.mean(1), wins.mean(0)))
    over_positive = np.cov(np.array([places[0][0], places[1][0]]))
    over_negative = np.cov(np.array([places[0][1], places[1][1]]))
    covariance = over_positive / m + over_negative / n
    return float(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


def case(films, noise):
    truth = (rng.random(films) < 0.6).astype(int)
    common = rng.normal(size=films)
    runs = []
    for scale in noise:
        logit = 1.2 * (2 * truth - 1) + common + scale * rng.normal(size=films)
        runs.append(np.round(1 / (1 + np.exp(-logit)), 4))
    right = [(p > 0.5) == truth for p in runs]
    b, c = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    table = [[0, b], [c, 0]]

    def accuracy(a, b, axis=-1):
        return b.mean(axis) - a.mean(axis)

    def area(t, a, b):
        return roc_auc_score(t, b) - roc_auc_score(t, a)

    options = {"paired": True, "method": "percentile", "n_resamples": 9999, "rng": np.random.default_rng(1)}
    of_accuracy = bootstrap([r.astype(float) for r in right], accuracy, **options).confidence_interval
    of_area = bootstrap([truth, *runs], area, vectorized=False, **options).confidence_interval
    return {
        "truth": truth.tolist(),
        "first": runs[0].tolist(),
        "second": runs[1].tolist(),
        "accuracy": float(right[1].mean() - right[0].mean()),
        "accuracy_interval": [float(of_accuracy.low), float(of_accuracy.high)],
        "auroc": float(area(truth, *runs)),
        "auroc_interval": [float(of_area.low), float(of_area.high)],
        "delong": delong(truth, *runs),
        "only_first": b,
        "only_second": c,
        "mcnemar": float(mcnemar(table, exact=True).pvalue),
    }


counts = [(0, 0), (1, 0), (0, 6), (5, 12), (30, 30), (3, 40), (700, 900), (4000, 4200)]
curve = [(10, 0.62), (25, 0.7), (26, 0.69), (100, 0.91), (1000, 0.95)]
golden = {
    "mcnemar": [
        {"only_first": b, "only_second": c, "p": float(binomtest(b, b + c).pvalue) if b + c else 1.0} for b, c in counts
    ],
    "cases": [case(400, (0.6, 0.9)), case(90, (1.5, 0.4))],
    "curve": {
        "points": curve,
        "area": float(np.trapezoid([y for _, y in curve], [x for x, _ in curve]) / (curve[-1][0] - curve[0][0])),
    },
}
Path(__file__).with_name("comparison.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
