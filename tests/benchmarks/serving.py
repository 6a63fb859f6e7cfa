"""The round trip of an exported model: photos through a server that knows TensorFlow alone, and what it says of them.

    python -m tests.benchmarks.serving --output FOLDER --data-root ROOT

Takes the newest export of the data root. Its SavedModel is loaded by a plain process that imports nothing of this
project, and answers POSTs in the REST format of TensorFlow Serving (photos as base64 in JSON, one request a batch). It
gets the photos that the test split begins with, and answers are compared with the predictions of the pipeline's own
evaluation. Rates are of the pipeline's predictor and of the server, both from photos' files to probabilities.
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
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tasks.decode.images import decode_photo, read_pixels
from tasks.export.card import dataset_of
from tasks.export.parity import compare
from tasks.export.photos import ReferencePhotos, read_files, read_reference
from tasks.predict.models import Model, read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tasks.storage.layout import DataRoot
from tasks.train.head import Floats
from tests.benchmarks.table import Table, parser, rates, tell, time_in_turn

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
        said = [{"label": a.decode(), "probabilities": b} for a, b in zip(labels, probabilities)]
        body = json.dumps({"predictions": said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
own = sorted({name.partition(".")[0] for name in sys.modules} & {"pipeline", "tasks", "tests"})
print(json.dumps({"port": server.server_port, "imports of this project": own}), flush=True)
server.serve_forever()
"""


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """Serve a SavedModel from a folder where nothing of this project is; yields the URL."""
    with tempfile.TemporaryDirectory() as elsewhere:
        command = [sys.executable, "-c", SERVER, str(model.absolute())]
        own = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(command, cwd=elsewhere, env=own, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            if told["imports of this project"]:
                raise SystemExit(f"The server is not plain: it imported {told['imports of this project']}.")
            yield f"http://127.0.0.1:{told['port']}/v1/models/photos:predict"
        finally:
            process.terminate()
            process.wait()


def ask(url: str, files: Sequence[bytes], batch: int) -> list[dict[str, Any]]:
    """Ask the server of photos, as any program would."""
    said: list[dict[str, Any]] = []
    for start in range(0, len(files), batch):
        photos = [{"image_bytes": {"b64": base64.b64encode(file).decode()}} for file in files[start : start + batch]]
        body = json.dumps({"instances": photos}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:  # noqa: S310 (this machine's own)
            said += json.load(answer)["predictions"]
    return said


def newest_export(root: DataRoot[Path]) -> Path:
    """Folder of the model that was exported last.

    Raises:
        SystemExit: There is none.
    """
    # An export that was refused has a manifest alone.
    exports = sorted(root.path.glob("train/*/export/saved_model"), key=lambda path: path.stat().st_mtime)
    if not exports:
        raise SystemExit(f"There is no export in {root.path}. Run RetrainFlowers first.")
    return exports[-1].parent.parent


def tested_photos(model: Model, root: DataRoot, photos: Path, most: int) -> tuple[ReferencePhotos, list[bytes]]:
    """The photos that the test split begins with, and their files."""
    for path in root.path.glob("evaluate/*/predictions.parquet"):
        if json.loads(pq.read_schema(path).metadata[b"settings"])["head"] == model.key:
            there, files, *_ = read_files(read_reference(path.parent, model.labels, most), photos)
            return there, files
    raise SystemExit(f"There is no evaluation of {model.key} in {root.path}.")


def predict(predictor: Predictor, files: Sequence[bytes]) -> Floats:
    """What the pipeline says of photos' files."""
    pictures = ([read_pixels(decode_photo(file, decode).image) for file in files] for decode in predictor.decodes)
    return predictor.predict([np.stack(own) for own in pictures])


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--data-root", type=Path, required=True, help="Where a model was exported.")
    options.add_argument("--photos", type=Path, help="The folder of its dataset, where that was no folder.")
    options.add_argument("--count", type=int, default=50, help="How many photos.")
    options.add_argument("--batch", type=int, default=10, help="Photos in a request.")
    given = options.parse_args()
    root = DataRoot(given.data_root)
    model = read_model(newest_export(root))
    photos = given.photos or Path(dataset_of(model.snapshot, root).location)
    known, files = tested_photos(model, root, photos, given.count)
    predictor = Predictor(model, NullProgress())
    started = time.perf_counter()
    with serving(root.export(model.key) / "saved_model") as url:
        starting = time.perf_counter() - started
        said = ask(url, files, given.batch)
        ways = {
            "pipeline": lambda: predict(predictor, files),
            "server": lambda: ask(url, files, given.batch),
            "server, a photo a request": lambda: ask(url, files, 1),
        }
        seconds = time_in_turn(ways, given.repeat)
    judged = compare(known, np.array([each["probabilities"] for each in said], np.float32))
    if any(each["label"] != model.labels[int(np.argmax(each["probabilities"]))] for each in said):
        raise SystemExit("A label is not the one with the largest probability.")
    figures = {name: judged[name] for name in ("photos", "agreement", "accuracy", "largest_difference")}
    title = (
        f"{figures['photos']} photos through a plain process: {figures['agreement']:.1%} agree with the pipeline, "
        f"largest difference of a probability {figures['largest_difference']:.4f}; started in {starting:.1f} s"
    )
    table = Table("serving", title, "photos/s", "pipeline", rates(seconds, len(files)))
    tell([table], given.output, model=model.key, seconds_to_start=starting, **figures)


if __name__ == "__main__":
    main()
