"""Reads an export back with the programs that it is for, and compares it with the session's log.

    pip install numpy pandas pyarrow torchvision pycocotools
    penumbra export --session NAME --format csv,jsonl,parquet,coco,npz:64,folder --out OUT
    penumbra export --session NAME --bundle --out BUNDLE
    python tests/export/check.py HOME/sessions/NAME OUT [BUNDLE]

The labels that are expected are folded here from events.jsonl, independently of the program.
"""

import collections
import contextlib
import hashlib
import io
import json
import pathlib
import sys

import numpy
import pandas
import pyarrow.parquet
import torchvision
from pycocotools.coco import COCO

UNINTERPRETABLE = "uninterpretable"


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def word(answer):
    return answer if isinstance(answer, str) else answer["class"]


def fold(session):
    """What counts for each film by the default rule, an adjudicator's answer, else what all its readers say, and each
    reader's answer, by file."""
    readings = collections.OrderedDict()
    settled = {}
    for entry in read_lines(session / "events.jsonl"):
        event = entry["event"]
        if event["kind"] == "label":
            readings[entry["seq"]] = (event["film"], entry["reader"], word(event["answer"]))
        elif event["kind"] == "relabel":
            readings[entry["seq"]] = (event["film"], entry["reader"], word(event["to"]))
        elif event["kind"] == "adjudicate":
            settled[entry["seq"]] = (event["film"], word(event["answer"]))
        elif event["kind"] == "undo":
            readings.pop(event["seq"], None)
            settled.pop(event["seq"], None)
    files = {film["id"]: film["file"] for film in read_lines(session / "films.jsonl")}
    by_reader = {(files[film], reader): answer for film, reader, answer in readings.values()}
    said = collections.defaultdict(set)
    for (file, _), answer in by_reader.items():
        said[file].add(answer)
    agreed = {file: answers.pop() for file, answers in said.items() if len(answers) == 1}
    agreed |= {files[film]: answer for film, answer in settled.values()}
    return agreed, by_reader


def table(frame):
    assert frame["file"].is_unique
    return dict(zip(frame["file"], frame["label"]))


def main(session, out, bundle=None):
    expected, by_reader = fold(session)
    header = json.loads((session / "session.json").read_text(encoding="utf-8"))
    order = [each["name"] for each in header["classes"]]
    classes = {file: label for file, label in expected.items() if label != UNINTERPRETABLE}

    csv = pandas.read_csv(out / "labels.csv", keep_default_na=False)
    assert table(csv) == classes
    assert pandas.to_datetime(csv["time"]).dt.tz is not None
    jsonl = pandas.read_json(out / "labels.jsonl", lines=True)
    assert table(jsonl) == expected
    print(f"pandas {pandas.__version__}: labels.csv {len(csv)} rows, labels.jsonl {len(jsonl)} rows")

    parquet = pyarrow.parquet.read_table(out / "labels.parquet")
    assert str(parquet.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert str(parquet.schema.field("seq").type) == "int64"
    frame = pandas.read_parquet(out / "labels.parquet")
    assert table(frame) == expected
    both = frame[frame["label"] != UNINTERPRETABLE].reset_index(drop=True)
    for column in ["file", "label", "patient", "reader", "ms", "source", "film"]:
        assert (both[column] == csv[column]).all(), column
    for column in ["reason", "note"]:
        assert (both[column].fillna("") == csv[column]).all(), column
    assert (both["time"] == pandas.to_datetime(csv["time"])).all()
    print(f"pyarrow {pyarrow.__version__}: labels.parquet {parquet.num_rows} rows")

    with numpy.load(out / "labels.npz", allow_pickle=False) as arrays:
        images, labels, names = arrays["images"], arrays["labels"], arrays["classes"]
        assert images.dtype == numpy.uint8 and images.shape[0] == len(classes)
        assert labels.dtype == numpy.int64 and names.tolist() == order
        assert dict(zip(arrays["files"].tolist(), names[labels].tolist())) == classes
        assert arrays["films"].tolist() == csv["film"].tolist()
        assert arrays["patients"].tolist() == csv["patient"].astype(str).tolist()
        assert all(image.std() > 0 for image in images)
    print(f"numpy {numpy.__version__}: labels.npz {images.shape}")

    folder = torchvision.datasets.ImageFolder(str(out / "films"))
    assert folder.classes == sorted(set(classes.values()))
    count = collections.Counter(folder.classes[place] for _, place in folder.samples)
    assert count == collections.Counter(classes.values())
    found = collections.Counter()
    for path, place in folder.samples:
        found[hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest(), folder.classes[place]] += 1
    root = pathlib.Path(header["images"])
    for file, label in classes.items():
        assert found[hashlib.sha256((root / file).read_bytes()).hexdigest(), label] == 1, file
    print(f"torchvision {torchvision.__version__}: ImageFolder {len(folder)} films, {dict(count)}")

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "labels.coco.json"))
    films = coco.loadImgs(coco.getImgIds())
    assert len(films) == len(classes)
    for film in films:
        (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=film["id"]))
        (category,) = coco.loadCats(annotation["category_id"])
        assert category["name"] == classes[film["file_name"]]
        assert annotation["bbox"] == [0, 0, film["width"], film["height"]]
        assert coco.annToMask(annotation).sum() == annotation["area"]
    of_class = {name: len(coco.getImgIds(catIds=coco.getCatIds(catNms=[name]))) for name in order}
    assert of_class == {name: count[name] for name in order}
    print(f"pycocotools: {len(films)} films, {of_class}")

    if bundle:
        check_bundle(bundle, expected, by_reader)


def check_bundle(bundle, expected, by_reader):
    readers = pandas.read_csv(bundle / "readers.csv", keep_default_na=False, dtype=str)
    assert dict(zip(zip(readers["file"], readers["reader"]), readers["label"])) == by_reader
    labels = pandas.read_csv(bundle / "labels.csv", keep_default_na=False, dtype=str)
    left_out = pandas.read_csv(bundle / "left_out.csv", keep_default_na=False, dtype=str)
    assert set(labels["file"]) | set(left_out["file"]) == {file for file, _ in by_reader}
    assert not set(labels["file"]) & set(left_out["file"])
    classes = {file: label for file, label in expected.items() if label != UNINTERPRETABLE}
    assert table(labels) == classes
    splits = pandas.read_csv(bundle / "splits.csv", keep_default_na=False, dtype=str)
    assert (splits.groupby("patient")["split"].nunique() == 1).all()
    for line in (bundle / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest, name
    print(
        f"bundle: {len(labels)} labels, {len(left_out)} left out, {len(readers)} readings, "
        f"splits {splits['split'].value_counts().to_dict()}"
    )


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
