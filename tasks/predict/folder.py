"""Predicts the photos of a folder; what the model said of a photo before is not asked again."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.decode.photo_file import Photo
from tasks.decode.rejections import Reason
from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.predict.inputs import list_photos
from tasks.predict.models import Model, read_model
from tasks.progress import Progress
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import PREDICTED, describe
from tasks.shards.store import ShardStore
from tasks.snapshot.hashes import HASHES, drop_hashes, drop_racy, hash_files, read_hashes
from tasks.snapshot.listing import Listing
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot

#: Raised when a model says something else of the same photo.
CODE_VERSION = 1
ROWS_PER_SHARD = 1024
ROWS_PER_GROUP = 4096


@dataclass(frozen=True)
class FolderState:
    """A folder of photos as it looked at one moment; see `read_folder_state`.

    Args:
        folder: The folder; nothing in it is changed.
        listing: The photos in it.
        moment_ns: A moment before they were listed, in nanoseconds since 1970.
    """

    folder: AnyPath
    listing: Listing
    moment_ns: int


@dataclass(frozen=True)
class FolderCounts:
    """What became of the photos of a folder.

    Args:
        new: Photos predicted now.
        reused: Photos of which the model had been asked before, and copies of other photos.
        labels: How many photos were predicted as each label.
        reasons: How many have no prediction, by reason.
    """

    new: int
    reused: int
    labels: Mapping[str, int]
    reasons: Mapping[str, int]


def read_folder_state(folder: AnyPath) -> FolderState:
    """List the photos of a folder.

    Raises:
        DatasetError: The folder is missing, or a folder below it cannot be read.
    """
    moment_ns = time.time_ns()
    return FolderState(folder, list_photos(folder), moment_ns)


def predictions_key(model: str, listing: Listing) -> str:
    """Key of what a model says of a folder's photos.

    Args:
        model: The model's key.
        listing: The photos, of which paths, sizes and versions count.
    """
    return fingerprint({"model": model, "photos": listing.state(), "code_version": CODE_VERSION})


def predict_folder(source: FolderState, model_folder: AnyPath, root: DataRoot, progress: Progress) -> FolderCounts:
    """Predict the photos of a folder, and publish `predictions.parquet`, a row a photo in the order of paths.

    What the model says is kept in shards too, one every 1,024 photos: a run that is killed goes on from there, and a
    later one asks the model only of photos that it has not seen, in whatever folder and under whatever name.

    Args:
        source: The photos.
        model_folder: Folder of the model.
        root: Where the results go.
        progress: Told of every photo that is hashed or predicted.

    Raises:
        ModelError: The model is missing or incomplete.
        StoreError: A file of the data root is damaged.
    """
    model = read_model(model_folder)
    facts = {"model": model.key, "labels": list(model.labels)}
    store_key = fingerprint({"model": model.key, "code_version": CODE_VERSION})
    store = ShardStore(
        root.below("predict", store_key), describe(PREDICTED, "predict", store_key, facts), ROWS_PER_GROUP
    )
    store.sweep()
    kept = root.below("predict", fingerprint({"folder": str(source.folder.absolute())})) / "hashes.parquet"
    hashes = _hash(source, kept, progress)
    keys = pc.unique(hashes["sha256"])
    untried = _untried(hashes, keys.filter(pa.array(~store.found(keys))), source)
    apart = _predict(untried, source.folder, (model, store), progress)
    drop_hashes(kept, apart["path"].filter(pc.equal(apart["reason"], Reason.CHANGED)).to_pylist())
    rows = _assemble(hashes, pa.concat_tables([store.read(keys), apart]), apart)
    key = predictions_key(model.key, source.listing)
    table = rows.cast(describe(PREDICTED, "predict", key, facts))
    publish_parquet(root.below("predict", key) / "predictions.parquet", table, ROWS_PER_GROUP)
    new = len(untried) - apart["predicted"].null_count
    labels, reasons = (Counter(rows[name].drop_null().to_pylist()) for name in ("predicted", "reason"))
    return FolderCounts(new, labels.total() - new, dict(sorted(labels.items())), dict(sorted(reasons.items())))


def _hash(source: FolderState, kept: AnyPath, progress: Progress) -> pa.Table:
    """Hash the photos, but recall what was hashed before; photos that cannot be read have no row."""
    hashes = hash_files(source.folder, source.listing.files, read_hashes(kept), progress).table
    known = drop_racy(hashes, source.listing.files, source.moment_ns)
    publish_parquet(kept, known.cast(describe(HASHES, "predict", kept.parent.name, {"folder": str(source.folder)})))
    return hashes


def _untried(hashes: pa.Table, missing: pa.Array, source: FolderState) -> list[Photo]:
    """Photos to predict: one for each key that has no prediction, and those that could not be hashed."""
    paths = hashes["path"].take(pc.index_in(missing, value_set=hashes["sha256"].combine_chunks()))
    hashed = set(hashes["path"].to_pylist())
    keyed = [
        *zip(missing.to_pylist(), paths.to_pylist(), strict=True),
        *(("", file.path) for file in source.listing.files if file.path not in hashed),
    ]
    is_fetched = storage_at(source.folder).reads_are_requests
    sizes = {file.path: file.size for file in source.listing.files} if is_fetched else {}
    return [Photo(key, path, sizes.get(path, 0)) for key, path in keyed]


def _predict(photos: list[Photo], folder: AnyPath, into: tuple[Model, ShardStore], progress: Progress) -> pa.Table:
    """Predict photos into a store; returns the rows of those that have no prediction, or had no key before."""
    keyless = pa.array([photo.path for photo in photos if not photo.sha256], pa.string())
    apart = [PREDICTED.empty_table()]
    if photos:
        with progress.preparing("imports"):
            from tasks.predict.predictor import Predictor  # noqa: PLC0415 (only where there is work)
            from tasks.predict.stream import predict_photos, regroup  # noqa: PLC0415

        model, store = into
        tables = predict_photos(photos, folder, Predictor(model, progress), progress)
        for table in regroup(tables, ROWS_PER_SHARD):
            good = pc.is_valid(table["predicted"])
            if pc.any(good).as_py():
                store.append(table.filter(good))
            apart.append(table.filter(pc.or_(pc.invert(good), pc.is_in(table["path"], value_set=keyless))))
    return pa.concat_tables(apart)


def _assemble(hashes: pa.Table, known: pa.Table, apart: pa.Table) -> pa.Table:
    """Give each path what is known of its key; a path that had none when all were hashed has a row of its own."""
    places = pc.index_in(hashes["sha256"], value_set=known["sha256"].combine_chunks())
    rows = known.take(places).set_column(0, PREDICTED.field("path"), hashes["path"])
    # An earlier version of this project kept labels as their folders' names were written.
    label = PREDICTED.get_field_index("predicted")
    rows = rows.set_column(label, PREDICTED.field(label), pc.utf8_normalize(rows["predicted"], form="NFC"))
    own = apart.filter(pc.invert(pc.is_in(apart["path"], value_set=hashes["path"].combine_chunks())))
    return pa.concat_tables([rows, own]).sort_by("path")
