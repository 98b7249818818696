"""Writes confident_learning.json: what cleanlab makes of labels some of which are wrong.

    pip install numpy cleanlab==2.9.0
    python confident_learning.py

Probabilities are rounded to four digits and to single precision, so that both sides start from the same numbers.
"""

import json
from pathlib import Path

import numpy as np
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_normalized_margin_for_each_label

rng = np.random.default_rng(17)
cases = []
for classes, films, noise in [(2, 120, 0.1), (3, 200, 0.15), (4, 300, 0.1)]:
    truth = rng.integers(0, classes, films)
    wrong = rng.random(films) < noise
    labels = np.where(wrong, (truth + rng.integers(1, classes, films)) % classes, truth)
    logits = rng.normal(size=(films, classes)) + 2.0 * np.eye(classes)[truth]
    p = np.exp(logits)
    p = np.round(p / p.sum(axis=1, keepdims=True), 4).astype(np.float32).astype(np.float64)
    joint, _ = compute_confident_joint(
        labels, p, calibrate=False, return_indices_of_off_diagonals=True
    )
    issues = find_label_issues(
        labels, p, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    scores = get_normalized_margin_for_each_label(labels, p)
    cases.append(
        {
            "classes": classes,
            "labels": labels.tolist(),
            "probabilities": [round(float(v), 4) for v in p.ravel()],
            "thresholds": get_confident_thresholds(labels, p).tolist(),
            "joint": joint.tolist(),
            "issues": issues.tolist(),
            "margins": [float(2 * scores[i] - 1) for i in issues],
        }
    )
    print(classes, len(issues), joint.tolist())
Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")
