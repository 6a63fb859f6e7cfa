"""Whether an export says what the pipeline says, on the photos of the test split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binom

from tasks.artifacts import DamagedError, Store, read_parquet
from tasks.decode.workers import MAX_BYTES
from tasks.errors import ModelError
from tasks.evaluate.metrics import measure
from tasks.export.forms import FORMS, INT8, Form
from tasks.paths import AnyPath
from tasks.snapshot.labels import to_label
from tasks.snapshot.opening import read_photo
from tasks.threads import in_threads
from tasks.train.examples import Floats

#: An export that is at its bar is refused in one of twenty test splits.
_CERTAINTY = 0.95
#: Of a larger test split, those with the smallest keys, which are as good as drawn: the night waits for every one.
MOST_PHOTOS = 500
#: Photos that are read at once: where they are on an object store, each waits for its answer.
_READ_AT_ONCE = 16
#: How files begin that an export can read: JPEG and PNG.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclass(frozen=True, eq=False)
class KnownPhotos:
    """N photos of the test split, and what the pipeline says of them.

    Args:
        keys: Their sha256, N.
        paths: Their paths in the dataset, N.
        truth: int64 [N], each photo's place in `labels`.
        probabilities: float32 [N, C].
        labels: The labels, C.
    """

    keys: Sequence[str]
    paths: Sequence[str]
    truth: npt.NDArray[np.int64]
    probabilities: Floats
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: Sequence[int]) -> "KnownPhotos":
        """Some of the photos."""
        return KnownPhotos(
            [self.keys[place] for place in places],
            [self.paths[place] for place in places],
            self.truth[list(places)],
            self.probabilities[list(places)],
            self.labels,
        )


def read_known(predictions: AnyPath, labels: tuple[str, ...], most: int = MOST_PHOTOS) -> KnownPhotos:
    """Read the test photos of an evaluation.

    Args:
        predictions: Its `predictions.parquet`.
        labels: The labels, in the order of its probabilities.
        most: How many at most.

    Raises:
        DamagedError: The file is gone or damaged.
    """
    try:
        table = read_parquet(predictions)
        table = table.filter(pc.equal(table["split"], "test")).sort_by("sha256").slice(0, most)
        rows = table.combine_chunks()
        probabilities = np.asarray(rows["probabilities"].combine_chunks().flatten(), np.float32)
        place = {label: index for index, label in enumerate(labels)}
        truth = np.array([place[label] for label in map(to_label, rows["label"].to_pylist())], np.int64)
        known = probabilities.reshape(len(truth), len(labels))
    except (pa.ArrowException, LookupError, OSError, ValueError) as exc:
        sentences = f"{predictions} cannot be read ({exc}). Delete its folder and run again."
        raise DamagedError(predictions, sentences) from exc
    return KnownPhotos(rows["sha256"].to_pylist(), rows["path"].to_pylist(), truth, known, labels)


def read_files(photos: KnownPhotos, folder: AnyPath) -> tuple[KnownPhotos, list[bytes], dict[str, int]]:
    """Read the files of photos, as far as they are there as they were, and of a format that exports read.

    Args:
        photos: The photos.
        folder: What their paths are relative to.

    Returns:
        The photos that could be read, their bytes, and how many were left out by reason.
    """

    def read(path: str) -> bytes | None:
        try:
            return read_photo(folder / path, MAX_BYTES)
        except OSError:
            return None

    places, files, left_out = [], [], Counter[str]()
    for place, data in enumerate(in_threads(read, photos.paths, _READ_AT_ONCE)):
        if data is None:
            left_out["gone"] += 1
        elif sha256(data).hexdigest() != photos.keys[place]:
            left_out["changed"] += 1
        elif not data.startswith(_MAGIC):
            left_out["neither JPEG nor PNG"] += 1
        else:
            places.append(place)
            files.append(data)
    return photos.take(places), files, dict(left_out)


def read_pictures(photos: KnownPhotos, store: Store) -> list[bytes]:
    """Read the encoded pictures of photos from the decoded store, in their order.

    Raises:
        StoreError: The store has lost some.
    """
    found: dict[str, bytes] = {}
    for rows in store.rows(pa.array(photos.keys, pa.string()), ["sha256", "image"]):
        images = rows.column("image").combine_chunks().field("bytes")
        found.update(zip(rows.column("sha256").to_pylist(), images.to_pylist(), strict=True))
    store.check(len(found), len(photos), "pictures")
    return [found[key] for key in photos.keys]


def judge(photos: KnownPhotos, probabilities: Floats) -> dict[str, Any]:
    """Compare what an export says of photos with what the pipeline says, and with the truth.

    Args:
        photos: N photos.
        probabilities: What the export says, float32 [N, C].

    Returns:
        For metrics.json: `photos`, `agreement` (share on which both name the same label first), `accuracy`,
        `largest_difference` of a probability, and `metrics` as evaluation has them. All but `photos` are None where
        there is no photo.
    """
    if not len(photos):
        return {"photos": 0, **dict.fromkeys(("agreement", "accuracy", "largest_difference", "metrics"))}
    same = probabilities.argmax(axis=1) == photos.probabilities.argmax(axis=1)
    metrics = measure(photos.truth, probabilities, photos.labels)
    return {
        "photos": len(photos),
        "agreement": float(same.mean()),
        "accuracy": metrics.accuracy,
        "largest_difference": float(np.abs(probabilities - photos.probabilities).max()),
        "metrics": metrics.to_json(),
    }


def allowed(photos: int, bar: float) -> int:
    """How many disagreements are put down to chance.

    Test photos are a sample. Where an export disagrees on the share 1 - bar of all photos, a sample of N has more
    disagreements than this, a quantile of the binomial distribution, in at most one of twenty cases. One is always
    allowed.
    """
    return max(1, int(binom.ppf(_CERTAINTY, photos, 1 - bar)))


def check(judged: Mapping[str, Mapping[str, Any]], precision: str) -> None:
    """Refuse exports that say something else than the pipeline.

    Args:
        judged: What `judge` found, by the name of the export.
        precision: What the model's own predictions were computed in.

    Raises:
        ModelError: One does; names it, its figure, and the bar.
    """
    for form in FORMS:
        figures = judged.get(form.name, {"photos": 0})
        photos = figures["photos"]
        differ = round(photos * (1 - figures["agreement"])) if photos else 0
        if differ > allowed(photos, form.bar):
            raise ModelError(
                f"The export {form.name} names another label than the model on {differ} of {photos:,} test photos: it "
                f"agrees on {figures['agreement']:.1%}, and the bar is {form.bar:.0%}. Nothing was exported. "
                f"{_remedy(form, precision)}"
            )


def _remedy(form: Form, precision: str) -> str:
    if form is INT8:
        cure = "Give --precision int8, so that the head is trained on what such a network says, or another --backbone"
    elif precision != "float32":
        cure = f"It computes in float32, the model was trained in {precision}: give --precision float32"
    else:
        cure = "Convert photos with colour profiles to sRGB: TensorFlow does not read profiles, and the pipeline does"
    return f"{cure}; --export none does without exports."
