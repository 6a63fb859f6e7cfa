"""Predicts the photos of a folder; predictions that the model made before are reused."""

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
from tasks.predict.models import Model, read_model
from tasks.progress import Progress
from tasks.shards.parquet import publish_parquet, regroup
from tasks.shards.schemas import PREDICTED, describe
from tasks.shards.store import ShardStore
from tasks.snapshot.hashes import drop_hashes, drop_racy, hash_files, read_hashes
from tasks.snapshot.listing import Listing
from tasks.snapshot.parquet.photo_rows import hash_rows
from tasks.snapshot.parquet.row_paths import photos_root, reading_order
from tasks.snapshot.walk import list_files
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot

#: Increased when a model's prediction of a photo changes.
CODE_VERSION = 2
ROWS_PER_SHARD = 1024
ROWS_PER_GROUP = 4096


@dataclass(frozen=True)
class FolderState:
    """The photos of a folder at one time; see `read_folder_state`."""

    folder: AnyPath  #: The folder, or a Parquet file of images; nothing in it is changed.
    listing: Listing  #: Its photos.
    time_ns: int  #: A time before they were listed, in nanoseconds since 1970.


@dataclass(frozen=True)
class FolderCounts:
    """Counts of the photos of a folder."""

    new: int  #: Photos predicted in this run.
    reused: int  #: Photos predicted before, and copies of other photos.
    labels: Mapping[str, int]  #: Photos by predicted label.
    unknown: int | None  #: Photos that are unlike the training photos; None if the model has no threshold.
    reasons: Mapping[str, int]  #: Photos without a prediction by reason.


def read_folder_state(folder: AnyPath) -> FolderState:
    """List the photos of a folder and the folders below it, or its Parquet files; linked folders are left out.

    Raises:
        DatasetError: The folder is missing, or a folder below it cannot be read.
    """
    time_ns = time.time_ns()
    return FolderState(folder, list_files(folder, labelled=False), time_ns)


def predictions_key(model: str, listing: Listing) -> str:
    """Return the key of predictions: of the model's key and the photos' paths, sizes and versions."""
    return fingerprint({"model": model, "photos": listing.state(), "code_version": CODE_VERSION})


def predict_folder(source: FolderState, model_folder: AnyPath, root: DataRoot, progress: Progress) -> FolderCounts:
    """Predict the photos of a folder, and publish `predictions.parquet`, a row a photo in the order of paths.

    The predictions are also published in shards of 1,024 photos, so that a run continues where a killed one stopped.
    Later runs predict only photos that the model has not seen, in any folder and under any name.

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
    hash_file = root.below("predict", fingerprint({"folder": str(source.folder.absolute())})) / "hashes.parquet"
    hashes = _hash(source, hash_file, progress)
    keys = pc.unique(hashes["sha256"])
    pending = _pending(hashes, keys.filter(pa.array(~store.found(keys))), source)
    unstored = _predict(pending, photos_root(source.folder), model, store, progress)
    drop_hashes(hash_file, unstored["path"].filter(pc.equal(unstored["reason"], Reason.CHANGED)).to_pylist())
    rows = _assemble(hashes, pa.concat_tables([store.read(keys), unstored]), unstored)
    key = predictions_key(model.key, source.listing)
    table = rows.cast(describe(PREDICTED, "predict", key, facts))
    publish_parquet(root.below("predict", key) / "predictions.parquet", table, ROWS_PER_GROUP)
    new = len(pending) - unstored["predicted"].null_count
    labels, reasons = (Counter(rows[name].drop_null().to_pylist()) for name in ("predicted", "reason"))
    unknown = pc.sum(rows["unknown"]).as_py()
    return FolderCounts(new, labels.total() - new, dict(sorted(labels.items())), unknown, dict(sorted(reasons.items())))


def _hash(source: FolderState, hash_file: AnyPath, progress: Progress) -> pa.Table:
    """Hash the photos, reusing the hashes in a file; unreadable photos have no row."""
    files, known = source.listing.files, read_hashes(hash_file)
    if source.listing.is_parquet:
        files = source.listing.parquet_files
        rows = hash_rows(photos_root(source.folder), files, known, progress, label_column=None)
        hashes, known = rows.photos, rows.known
        for path, reason in rows.ignored:
            source.listing.ignored.add(path, reason)
    else:
        hashes = known = hash_files(source.folder, files, known, progress).table
    known = drop_racy(known, files, source.time_ns)
    schema = describe(known.schema, "predict", hash_file.parent.name, {"folder": str(source.folder)})
    publish_parquet(hash_file, known.cast(schema))
    return hashes


def _pending(hashes: pa.Table, missing: pa.Array, source: FolderState) -> list[Photo]:
    """Return the photos to predict: one for each key without a prediction, and those that could not be hashed."""
    paths = hashes["path"].take(pc.index_in(missing, value_set=hashes["sha256"].combine_chunks()))
    hashed = set(hashes["path"].to_pylist())
    pairs = [
        *zip(missing.to_pylist(), paths.to_pylist(), strict=True),
        *(("", file.path) for file in source.listing.files if file.path not in hashed),
    ]
    if source.listing.is_parquet:
        pairs.sort(key=lambda pair: reading_order(pair[1]))
        sizes = dict(zip(hashes["path"].to_pylist(), hashes["bytes"].to_pylist(), strict=True))
    else:
        is_fetched = storage_at(source.folder).reads_are_requests
        sizes = {file.path: file.size for file in source.listing.files} if is_fetched else {}
    return [Photo(key, path, sizes.get(path, 0)) for key, path in pairs]


def _predict(photos: list[Photo], folder: AnyPath, model: Model, store: ShardStore, progress: Progress) -> pa.Table:
    """Predict photos into a store; returns the rows without a prediction, and those of photos that had no key."""
    unhashed = pa.array([photo.path for photo in photos if not photo.sha256], pa.string())
    unstored = [PREDICTED.empty_table()]
    if photos:
        with progress.preparing("imports"):
            from tasks.predict.predictor import Predictor  # noqa: PLC0415 (only if there are photos to predict)
            from tasks.predict.stream import predict_photos  # noqa: PLC0415

        tables = predict_photos(photos, folder, Predictor(model, progress), progress)
        for table in regroup(tables, ROWS_PER_SHARD):
            predicted = pc.is_valid(table["predicted"])
            if pc.any(predicted).as_py():
                store.append(table.filter(predicted))
            unstored.append(table.filter(pc.or_(pc.invert(predicted), pc.is_in(table["path"], value_set=unhashed))))
    return pa.concat_tables(unstored)


def _assemble(hashes: pa.Table, predictions: pa.Table, unstored: pa.Table) -> pa.Table:
    """Return a row for each path: the prediction of its key, or its own row if it could not be hashed."""
    places = pc.index_in(hashes["sha256"], value_set=predictions["sha256"].combine_chunks())
    rows = predictions.take(places).set_column(0, PREDICTED.field("path"), hashes["path"])
    # An earlier version of this project kept labels as their folders' names were written.
    label = PREDICTED.get_field_index("predicted")
    rows = rows.set_column(label, PREDICTED.field(label), pc.utf8_normalize(rows["predicted"], form="NFC"))
    unhashed = unstored.filter(pc.invert(pc.is_in(unstored["path"], value_set=hashes["path"].combine_chunks())))
    return pa.concat_tables([rows, unhashed]).sort_by("path")
