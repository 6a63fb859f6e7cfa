"""Contents of data roots: compares two of them, and finds damaged files."""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

#: Facts of the way and not of the result: which run did something, when and how fast, and how rows spread over shards.
_OF_THE_WAY = {"run", "seconds", "startup", "new", "reused", "shards", "finished", "elapsed", "time"}


def contents(root: Path) -> dict[str, object]:
    """Return the contents of a data root by name, in a form that is equal where the results are.

    Rows stand under the folder of their store, sorted; repeated rows are repeated here.

    Args:
        root: The data root. Its own path is removed from the texts of its files.
    """
    found: dict[str, object] = {}
    stores: dict[str, list[str]] = {}
    for path in files(root):
        if path.name.startswith("part-"):
            rows = pq.read_table(path).to_pylist()
            stores.setdefault(str(path.parent.relative_to(root)), []).extend(map(repr, rows))
        else:
            found[str(path.relative_to(root))] = _value(path, root)
    return found | {name: sorted(rows) for name, rows in stores.items()}


def differences(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Return the names that differ between the contents of two data roots."""
    names = sorted(one.keys() | other.keys())
    return [name for name in names if name not in one or name not in other or one[name] != other[name]]


def damaged(root: Path) -> list[str]:
    """Open every published file; returns a line for each that does not open."""
    told = []
    for path in files(root):
        # Unpublished files have such names.
        if ".tmp-" in str(path.relative_to(root)):
            continue
        try:
            _open(path)
        except Exception as exc:  # noqa: BLE001 (reported whatever it is)
            told.append(f"{path.relative_to(root)}: {exc!r}")
    return told


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if not path.is_dir())


def keys(root: Path) -> set[str]:
    """Return the store and key of each published row of decode and bottleneck."""
    shards = [*root.glob("decode/**/part-*.parquet"), *root.glob("bottleneck/*/part-*.parquet")]
    return {
        f"{shard.parent.relative_to(root)} {key}"
        for shard in shards
        for key in pq.read_table(shard, columns=["sha256"])["sha256"].to_pylist()
    }


def _value(path: Path, root: Path) -> object:
    match path.suffix:
        case ".json":
            return _result(json.loads(path.read_text().replace(str(root), "")))
        case ".parquet":
            table: pa.Table = pq.read_table(path)
            return repr(table.select([name for name in table.column_names if name != "time"]).to_pylist())
        case ".npz":
            with np.load(path) as arrays:
                return {name: arrays[name].tobytes() for name in arrays.files}
        case ".tflite":
            return path.read_bytes()
    # Pages, pictures and checkpoints hold dates of their own.
    return None


def _result(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name for name in value if name not in _OF_THE_WAY and not name.endswith("_new")}
        return {name: _result(value[name]) for name in kept}
    return [_result(item) for item in value] if isinstance(value, list) else value


def _open(path: Path) -> None:
    if path.name == "checkpoint":
        _open_checkpoints(path.parent)
    elif path.suffix in _OPENERS and path.name != "fingerprint.pb":  # part of a SavedModel, and none itself
        _OPENERS[path.suffix](path)


def _open_arrays(path: Path) -> None:
    with np.load(path) as arrays:
        assert all(arrays[name].size for name in arrays.files)


def _open_lite(path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 (slow to import)

    Interpreter(model_path=str(path)).allocate_tensors()


def _open_keras(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def _open_saved_model(path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415 (slow to import)

    assert SavedModel.FromString(path.read_bytes()).meta_graphs


def _open_page(path: Path) -> None:
    assert path.read_text().rstrip().endswith("</html>")


def _open_checkpoints(folder: Path) -> None:
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (slow to import)
    from tasks.train.checkpoints import CHECKPOINTS_KEPT  # noqa: PLC0415 (imports TensorFlow)

    # TensorFlow lists older ones until after it removed them.
    for prefix in tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths[-CHECKPOINTS_KEPT:]:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)


_OPENERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_bytes()),
    ".parquet": lambda path: pq.read_table(path, page_checksum_verification=True),
    ".npz": _open_arrays,
    ".tflite": _open_lite,
    ".keras": _open_keras,
    ".pb": _open_saved_model,
    ".html": _open_page,
}
