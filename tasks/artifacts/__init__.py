"""What is kept between the stages: where it lives, what it is keyed by, its schemas, and how it is published.

The leaf that every stage stands on, and the only package that knows where things are and publishes them, so that a data
root elsewhere is one more implementation of its verbs and not a rewrite.
"""

from tasks.artifacts.aside import set_aside
from tasks.artifacts.damage import DamagedError
from tasks.artifacts.files import (
    flush,
    is_folder,
    is_there,
    listed,
    local,
    publish_bytes,
    publish_folder,
    publish_json,
    publish_parquet,
    publishing,
    read_json,
)
from tasks.artifacts.key_index import KeyIndex
from tasks.artifacts.keys import KEY_LENGTH, file_sha256, fingerprint
from tasks.artifacts.layout import DataRoot, manifest
from tasks.artifacts.locks import alone, exclusive, hold, is_locked, names, share
from tasks.artifacts.manifests import Manifest, Outcome, read_manifest
from tasks.artifacts.mirrors import at_hand, discard, mirrored
from tasks.artifacts.objects import Names, names_within
from tasks.artifacts.parquet import open_parquet, read_parquet
from tasks.artifacts.schemas import (
    COMPARISON,
    CURVE,
    DECODE,
    PREDICTED,
    PREDICTIONS,
    REJECTED,
    SCHEMA_VERSION,
    SNAPSHOT,
    bottleneck_schema,
    describe,
)
from tasks.artifacts.settings import settings_from
from tasks.artifacts.sources import (
    AT_ONCE,
    Object,
    StoreAwayError,
    objects_below,
    read_range,
    version_of,
)
from tasks.artifacts.stores import Search, Store
from tasks.artifacts.sweeping import sweep_root
from tasks.artifacts.temporary import kept_here, marking, open_scratch, scratch_folder, scratch_for, sweep

__all__ = [
    "AT_ONCE",
    "COMPARISON",
    "CURVE",
    "DECODE",
    "KEY_LENGTH",
    "PREDICTED",
    "PREDICTIONS",
    "REJECTED",
    "SCHEMA_VERSION",
    "SNAPSHOT",
    "DamagedError",
    "DataRoot",
    "KeyIndex",
    "Manifest",
    "Names",
    "Object",
    "Outcome",
    "Search",
    "Store",
    "StoreAwayError",
    "alone",
    "at_hand",
    "bottleneck_schema",
    "describe",
    "discard",
    "exclusive",
    "file_sha256",
    "fingerprint",
    "flush",
    "hold",
    "is_folder",
    "is_locked",
    "is_there",
    "kept_here",
    "listed",
    "local",
    "manifest",
    "marking",
    "mirrored",
    "names",
    "names_within",
    "objects_below",
    "open_parquet",
    "open_scratch",
    "publish_bytes",
    "publish_folder",
    "publish_json",
    "publish_parquet",
    "publishing",
    "read_json",
    "read_manifest",
    "read_parquet",
    "read_range",
    "scratch_folder",
    "scratch_for",
    "set_aside",
    "settings_from",
    "share",
    "sweep",
    "sweep_root",
    "version_of",
]
