"""Writes pseudo_labels.json: 200 batches through FixMatch's threshold, FreeMatch's, distribution alignment, balancing.

    pip install numpy==2.4.6
    python pseudo_labels.py

A rendering of the published formulas in double precision. FreeMatch's running means start at one where classes are equal,
as in its authors' code (USB, `freematch/utils.py`), else at the prior times the number of classes, so that all classes
start with the same status; alignment is ReMixMatch's, with a running mean that starts at the first batch and decays
by min(momentum, (1 + t) / (10 + t)). Logits are a formula, so that only results are stored: each film's class, or - where
it is not sure enough, and every twentieth batch the running means.
"""

import json
import pathlib

import numpy as np

BATCHES = 200


def probabilities(batch, films, classes):
    k = (batch * films + np.arange(films)[:, None]) * classes + np.arange(classes)
    noise = (7919 * k + 31 * k * k) % 2003 / 1001.5 - 1.0
    logits = noise * (0.5 + batch / 40.0) + 0.8 * (np.arange(classes) == classes - 1)
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def case(films, prior, threshold, align, balance, momentum):
    # Single precision, as the prior is given.
    prior = np.array(prior, np.float32).astype(np.float64)
    prior /= prior.sum()
    classes = len(prior)
    time_p, p_model = 1.0, classes * prior
    running, taken = np.zeros(classes), np.zeros(classes)
    chosen, states = [], {}
    for batch in range(BATCHES):
        p = probabilities(batch, films, classes)
        decay = 0.0 if batch == 0 else min(momentum, (1 + batch) / (10 + batch))
        if align:
            running = decay * running + (1 - decay) * p.mean(axis=0)
            p = p * prior / running
            p /= p.sum(axis=1, keepdims=True)
        surest, best = p.max(axis=1), p.argmax(axis=1)
        if threshold is None:
            time_p = momentum * time_p + (1 - momentum) * surest.mean()
            p_model = momentum * p_model + (1 - momentum) * p.mean(axis=0)
            # With equal classes the prior cancels out: the paper's p_model / max p_model.
            status = p_model / prior
            kept = surest >= time_p * (status / status.max())[best]
        else:
            kept = surest >= threshold
        if balance:
            share = np.array([(kept & (best == c)).mean() for c in range(classes)])
            taken = decay * taken + (1 - decay) * share
        chosen.append("".join(str(c) if k else "-" for c, k in zip(best, kept)))
        if batch % 20 == 19:
            states[str(batch)] = [time_p, *p_model.tolist(), *taken.tolist()]
    config = {
        "threshold": "adaptive" if threshold is None else {"fixed": threshold},
        "align": align,
        "balance": balance,
        "momentum": momentum,
    }
    return {"films": films, "prior": prior.tolist(), "config": config, "chosen": chosen, "states": states}


cases = [
    case(14, [1 / 2, 1 / 2], None, False, False, 0.999),
    case(10, [1 / 3, 1 / 3, 1 / 3], None, False, False, 0.95),
    case(12, [0.3, 0.7], None, True, False, 0.97),
    case(8, [0.5, 0.5], 0.95, False, False, 0.999),
    case(12, [0.3, 0.7], 0.7, True, True, 0.97),
]
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
for made in cases:
    text = "".join(made["chosen"])
    print(made["config"], {c: text.count(c) for c in sorted(set(text))})
