"""Photos a second through a server that knows TensorFlow only, and the agreement of its answers with the pipeline.

Takes the champion that was published last for model servers. A plain process that imports nothing of this project loads
it, and answers POSTs in the REST format of TensorFlow Serving (photos as base64 in JSON). It gets the first photos of
the test split, and its answers are compared with the predictions of the pipeline's own evaluation. Both rates are from
photos' files to probabilities.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow.parquet as pq
import typer

from tasks.decode.images import decode_photo, read_pixels
from tasks.export.card import dataset_of
from tasks.export.parity import compare
from tasks.export.photos import ReferencePhotos, read_files, read_reference
from tasks.predict.models import Model, read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.serving.versions import CURRENT, current_version
from tasks.storage.layout import DataRoot
from tasks.train.head import Floats
from tests.benchmarks.measure import Output, Repeat, Table, publish, rates, run_command, time_in_turn

#: The whole server: TensorFlow and Python's own library. It loads the largest number in a folder, and then looks for a
#: larger one ten times a second, as TensorFlow Serving does. GET tells its loads.
SERVER = """
import base64, json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import tensorflow as tf

folder, served, loads, failed = sys.argv[1], (0, None), [], []

def load_largest():
    global served
    number = max(int(name) for name in os.listdir(folder) if name.isdecimal())
    if number <= served[0]:
        return
    try:
        served = number, tf.saved_model.load(os.path.join(folder, str(number)))
        loads.append(number)
    except Exception as exc:
        failed.append(f"{number}: {exc}")

def poll():
    while True:
        time.sleep(0.1)
        load_largest()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"version": served[0], "loads": loads, "failed": failed})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        photos = [base64.b64decode(instance["image_bytes"]["b64"]) for instance in request["instances"]]
        number, model = served
        answer = model.signatures["serving_default"](image_bytes=tf.constant(photos))
        labels, probabilities = answer["label"].numpy().tolist(), answer["probabilities"].numpy().tolist()
        predictions = [
            {"label": a.decode(), "probabilities": b, "version": number} for a, b in zip(labels, probabilities)
        ]
        self.answer({"predictions": predictions})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

load_largest()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
own = sorted({name.partition(".")[0] for name in sys.modules} & {"pipeline", "tasks", "tests"})
print(json.dumps({"port": server.server_port, "own": own}), flush=True)
threading.Thread(target=poll, daemon=True).start()
server.serve_forever()
"""


@contextmanager
def serving(versions: Path) -> Iterator[str]:
    """Serve the newest of a folder's versions without anything of this project; yields the URL."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SERVER, str(versions.absolute())]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            started = json.loads(process.stdout.readline())
            if started["own"]:
                raise SystemExit(f"The server is not plain: it imported {started['own']}.")
            yield f"http://127.0.0.1:{started['port']}/v1/models/photos:predict"
        finally:
            process.terminate()
            process.wait()


def ask(url: str, files: Sequence[bytes], batch: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for start in range(0, len(files), batch):
        photos = [{"image_bytes": {"b64": base64.b64encode(file).decode()}} for file in files[start : start + batch]]
        body = json.dumps({"instances": photos}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:  # noqa: S310 (this machine's own)
            found += json.load(answer)["predictions"]
    return found


def served_dataset(root: DataRoot[Path]) -> str:
    """Return the dataset whose champion was published last for model servers."""
    pointers = sorted(root.path.glob(f"serving/*/{CURRENT}"), key=lambda path: path.lstat().st_mtime)
    if not pointers:
        raise SystemExit(f"There is no version of a champion in {root.path}. Run RetrainFlowers first.")
    return pointers[-1].parent.name


def read_photos(model: Model, root: DataRoot, dataset: Path, count: int) -> tuple[ReferencePhotos, list[bytes]]:
    """Read the first photos of the test split with their predictions, and their files."""
    for path in root.path.glob("evaluate/*/predictions.parquet"):
        if json.loads(pq.read_schema(path).metadata[b"settings"])["head"] == model.key:
            known, files, *_ = read_files(read_reference(path.parent, model.labels, count), dataset)
            return known, files
    raise SystemExit(f"There is no evaluation of {model.key} in {root.path}.")


def predict(predictor: Predictor, files: Sequence[bytes]) -> Floats:
    """Return the pipeline's probabilities of photos, float32 [N, C]."""
    pictures = ([read_pixels(decode_photo(file, decode).image) for file in files] for decode in predictor.decodes)
    return predictor.predict([np.stack(own) for own in pictures])


def main(
    output: Output,
    data_root: Annotated[Path, typer.Option(help="Data root with a champion that was exported.")],
    repeat: Repeat = 5,
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos if the dataset is no folder.")] = None,
) -> None:
    """Send 50 photos, ten a request, to the server."""
    root = DataRoot(data_root)
    dataset = served_dataset(root)
    version = current_version(root, dataset)
    assert version is not None
    model = read_model(root.train(version.model))
    known, files = read_photos(model, root, photos or Path(dataset_of(model.snapshot, root).location), count=50)
    predictor = Predictor(model, NullProgress())
    started = time.perf_counter()
    with serving(root.serving(dataset)) as url:
        startup = time.perf_counter() - started
        answers = ask(url, files, 10)
        ways = {
            "pipeline": lambda: predict(predictor, files),
            "server": lambda: ask(url, files, 10),
            "server, one photo a request": lambda: ask(url, files, 1),
        }
        seconds = time_in_turn(ways, repeat)
    judged = compare(known, np.array([answer["probabilities"] for answer in answers], np.float32))
    if any(answer["label"] != model.labels[int(np.argmax(answer["probabilities"]))] for answer in answers):
        raise SystemExit("A label is not the one with the largest probability.")
    facts = {name: judged[name] for name in ("photos", "agreement", "accuracy", "largest_difference")}
    title = (
        f"{facts['photos']} photos through a plain process: {facts['agreement']:.1%} agree with the pipeline, "
        f"largest difference of a probability {facts['largest_difference']:.4f}; started in {startup:.1f} s"
    )
    table = Table(title, "photos/s", rates(seconds, len(files)))
    publish("serving", [table], output, model=model.key, seconds_to_start=startup, **facts)


if __name__ == "__main__":
    run_command(main, __doc__)
