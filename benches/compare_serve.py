"""`penumbra serve` and FastAPI with uvicorn and PyTorch under the same load, as a Markdown table.

    apt-get install wrk
    pip install torch fastapi uvicorn python-multipart pillow
    cargo build --release
    python3 benches/compare_serve.py target/release/penumbra

Both serve a ResNet-18 of half the width at 128 pixels with the first layer of a projection head and two classes, decode
the same JPEG, and average over the film and its mirror image; weights are random or hardly trained, which costs the same.
wrk posts the film over 1, 8 and 32 connections for --seconds each, on the machine that serves. FastAPI runs the network in
its thread pool, as its documentation has blocking work, with one and with all of PyTorch's threads, and the faster counts.
Memory is read after the first and after the last load.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILMS = ROOT / "assets/demo/pool"
CONNECTIONS = [1, 8, 32]
SIZE = 128
WIDTH = 0.5


def application():
    """The FastAPI server; uvicorn calls this."""
    sys.path.insert(0, str(Path(__file__).parent))
    import io

    import torch
    from compare_torch import network
    from fastapi import FastAPI, UploadFile
    from PIL import Image
    from torch import nn

    torch.set_num_threads(int(os.environ["TORCH_THREADS"]))
    net = network(WIDTH)
    features = net[-1].in_features
    net[-1] = nn.Sequential(
        nn.Linear(features, features, bias=False), nn.BatchNorm1d(features), nn.ReLU(), nn.Linear(features, 2)
    )
    net = net.eval().to(memory_format=torch.channels_last)
    app = FastAPI()

    @app.get("/healthz")
    def health():
        return {"status": "ok"}

    @app.post("/api/predict")
    def predict(file: UploadFile):
        film = Image.open(io.BytesIO(file.file.read())).convert("L").resize((SIZE, SIZE), Image.BICUBIC)
        x = torch.frombuffer(bytearray(film.tobytes()), dtype=torch.uint8).reshape(1, 1, SIZE, SIZE) / 255
        with torch.inference_mode():
            both = torch.softmax(net(torch.cat([x, x.flip(3)]).contiguous(memory_format=torch.channels_last)), 1)
        normal, pneumonia = both.mean(0).tolist()
        return {"probabilities": {"normal": normal, "pneumonia": pneumonia}}

    return app


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"a server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("a server did not start")


def resident(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def load(port, script, connections, seconds):
    """Requests a second, and the median and 99th percentile of their latency in milliseconds."""
    threads = min(2, connections)
    done = subprocess.run(
        ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script,
         f"http://127.0.0.1:{port}/api/predict"],
        capture_output=True, text=True, check=True,
    )
    report = json.loads(done.stdout.strip().splitlines()[-1])
    if report["errors"]:
        sys.exit(f"{report['errors']} requests failed:\n{done.stdout}")
    return report["rate"], report["p50"], report["p99"]


SCRIPT = """
local film = io.open(%s, "rb"):read("*a")
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=film"
wrk.body = '--film\\r\\nContent-Disposition: form-data; name="file"; filename="f.jpg"\\r\\n' ..
  'Content-Type: image/jpeg\\r\\n\\r\\n' .. film .. '\\r\\n--film--\\r\\n'
function done(summary, latency)
  local e = summary.errors
  print(string.format('\\n{"rate": %%f, "p50": %%f, "p99": %%f, "errors": %%d}',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def measure(command, port, script, seconds, env=None):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    try:
        wait_for(port, process)
        load(port, script, 8, 3)
        before = resident(process)
        cells = {count: load(port, script, count, seconds) for count in CONNECTIONS}
        return cells, before, resident(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("penumbra", type=Path)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, "film.lua")
        Path(script).write_text(SCRIPT % json.dumps(str(FILMS / "p0001-1.jpg")))
        program = [args.penumbra.resolve(), "--home", folder, "--device", "cpu", "--threads", str(args.threads)]
        subprocess.run(
            [*program, "supervised", "--images", FILMS, "--labels", FILMS / "labels.csv", "--limit", "32", "--steps",
             "2", "--batch", "8", "--arch", "resnet18", "--width", str(WIDTH), "--stem", "standard", "--size",
             str(SIZE), "--out", "bench"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        print(f"load average before: {os.getloadavg()[0]:.1f}", file=sys.stderr)
        ours = measure([*program, "serve", "--model", "bench", "--port", "8181"], 8181, script, args.seconds)
        theirs = []
        for threads in {1, args.threads}:
            uvicorn = [sys.executable, "-m", "uvicorn", "compare_serve:application", "--factory", "--app-dir",
                       str(Path(__file__).parent), "--port", "8182", "--log-level", "error", "--no-access-log"]
            env = {"TORCH_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
            theirs.append(measure(uvicorn, 8182, script, args.seconds, env))
    print("| server | connections | films/s | p50 ms | p99 ms | MiB after 3 s | MiB at the end |")
    print("|---|---|---|---|---|---|---|")
    for count in CONNECTIONS:
        faster = max(theirs, key=lambda found: found[0][count][0])
        for name, (cells, before, after) in [("penumbra serve", ours), ("FastAPI, PyTorch", faster)]:
            rate, p50, p99 = cells[count]
            print(f"| {name} | {count} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {before:.0f} | {after:.0f} |")


if __name__ == "__main__":
    main()
