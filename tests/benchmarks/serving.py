"""Photos a second through a server that knows TensorFlow only, and the agreement of its answers with the pipeline.

Takes the newest export of a data root. A plain process that imports nothing of this project loads its SavedModel, and
answers POSTs in the REST format of TensorFlow Serving (photos as base64 in JSON). It gets the first photos of the test
split, and its answers are compared with the predictions of the pipeline's own evaluation. Both rates are from photos'
files to probabilities.
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
from tasks.storage.layout import DataRoot
from tasks.train.head import Floats
from tests.benchmarks.measure import Output, Repeat, Table, publish, rates, run_command, time_in_turn

#: The whole server: TensorFlow and Python's own library.
SERVER = """
import base64, json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
import tensorflow as tf

predict = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        photos = [base64.b64decode(instance["image_bytes"]["b64"]) for instance in request["instances"]]
        answer = predict(image_bytes=tf.constant(photos))
        labels, probabilities = answer["label"].numpy().tolist(), answer["probabilities"].numpy().tolist()
        predictions = [{"label": a.decode(), "probabilities": b} for a, b in zip(labels, probabilities)]
        body = json.dumps({"predictions": predictions}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
own = sorted({name.partition(".")[0] for name in sys.modules} & {"pipeline", "tasks", "tests"})
print(json.dumps({"port": server.server_port, "own": own}), flush=True)
server.serve_forever()
"""


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """Serve a SavedModel from a folder without anything of this project; yields the URL."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SERVER, str(model.absolute())]
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


def newest_export(root: DataRoot[Path]) -> Path:
    """Return the folder of the model that was exported last."""
    # An export that was refused has only a manifest.
    exports = sorted(root.path.glob("train/*/export/saved_model"), key=lambda path: path.stat().st_mtime)
    if not exports:
        raise SystemExit(f"There is no export in {root.path}. Run RetrainFlowers first.")
    return exports[-1].parent.parent


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
    data_root: Annotated[Path, typer.Option(help="Data root with an exported model.")],
    repeat: Repeat = 5,
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos if the dataset is no folder.")] = None,
) -> None:
    """Send 50 photos, ten a request, to the server."""
    root = DataRoot(data_root)
    model = read_model(newest_export(root))
    known, files = read_photos(model, root, photos or Path(dataset_of(model.snapshot, root).location), count=50)
    predictor = Predictor(model, NullProgress())
    started = time.perf_counter()
    with serving(root.export(model.key) / "saved_model") as url:
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
