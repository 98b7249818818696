#!/usr/bin/env python3
"""Draws the demo's films: 600 of the training split as the pool, 200 of the validation split as the reference set.

    python3 make_demo.py PEDIATRIC_CXR_FOLDER OUT_FOLDER

Films are copied byte for byte under opaque names, `p<patient>-<film>.jpg`, because the original names give the class
away. Patient numbers are drawn anew. Both draws keep the classes' shares of their split. Seed 20261124.
"""

import csv
import pathlib
import random
import shutil
import sys

SEED = 20261124


def draw(rows, count, rng):
    """Draws `count` rows with the classes in the same shares as in `rows`."""
    chosen = []
    labels = sorted({row["label"] for row in rows})
    for label in labels:
        of_class = [row for row in rows if row["label"] == label]
        share = round(count * len(of_class) / len(rows))
        chosen += rng.sample(of_class, share)
    assert len(chosen) == count, len(chosen)
    return sorted(chosen, key=lambda row: row["file"])


def main():
    source, out = (pathlib.Path(argument) for argument in sys.argv[1:3])
    with open(source / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rng = random.Random(SEED)
    parts = {
        "pool": draw([row for row in rows if row["split"] == "train"], 600, rng),
        "reference": draw([row for row in rows if row["split"] == "val"], 200, rng),
    }
    patients = sorted({row["patient"] for part in parts.values() for row in part})
    rng.shuffle(patients)
    number = {patient: index + 1 for index, patient in enumerate(patients)}
    for name, part in parts.items():
        rng.shuffle(part)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        seen = {}
        with open(folder / "labels.csv", "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "label", "patient"])
            lines = []
            for row in part:
                patient = number[row["patient"]]
                seen[patient] = seen.get(patient, 0) + 1
                target = f"p{patient:04}-{seen[patient]}.jpg"
                shutil.copyfile(source / "images" / row["file"], folder / target)
                lines.append([target, row["label"], f"p{patient:04}"])
            writer.writerows(sorted(lines))


main()
