"""Writes onnx.json: what onnxruntime computes from the files that src/model/onnx/tests.rs exports.

    pip install numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
    python run_onnx.py

It lets cargo write the files first, and lets ONNX's checker look at each.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import onnx
import onnxruntime

from seeded import films

golden = {}
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        ["cargo", "test", "--release", "--lib", "write_files_for_onnxruntime", "--", "--ignored"],
        env={**os.environ, "PENUMBRA_ONNX": folder},
        check=True,
    )
    for file in sorted(Path(folder).glob("*.onnx")):
        onnx.checker.check_model(str(file), full_check=True)
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        size = session.get_inputs()[0].shape[2]
        (output,) = session.run(None, {"films": films(2, size)})
        print(f"{file.stem}: {size} px, {session.get_outputs()[0].name} {output.shape}")
        golden[file.stem] = {
            "blake3": file.with_suffix(".blake3").read_text(),
            "output": [round(float(value), 6) for value in output.ravel()],
        }
Path(__file__).with_name("onnx.json").write_text(json.dumps(golden) + "\n")
