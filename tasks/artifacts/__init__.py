"""What is kept between the stages: where it lives, what it is keyed by, its schemas, and how it is published.

The leaf that every stage stands on, and the only package that knows where things are and publishes them, so that a data
root elsewhere is one more implementation of its verbs and not a rewrite.
"""

from tasks.artifacts.files import (
    exclusive,
    publish_bytes,
    publish_folder,
    publish_json,
    publish_parquet,
    publishing,
    read_json,
    sweep,
)
from tasks.artifacts.keys import KEY_LENGTH, file_sha256, fingerprint
from tasks.artifacts.layout import DataRoot, manifest
from tasks.artifacts.manifests import Manifest, Outcome, read_manifest
from tasks.artifacts.schemas import (
    DECODE,
    PREDICTIONS,
    REJECTED,
    SCHEMA_VERSION,
    SNAPSHOT,
    bottleneck_schema,
    describe,
)
from tasks.artifacts.stores import KeyIndex, Store

__all__ = [
    "DECODE",
    "KEY_LENGTH",
    "PREDICTIONS",
    "REJECTED",
    "SCHEMA_VERSION",
    "SNAPSHOT",
    "DataRoot",
    "KeyIndex",
    "Manifest",
    "Outcome",
    "Store",
    "bottleneck_schema",
    "describe",
    "exclusive",
    "file_sha256",
    "fingerprint",
    "manifest",
    "publish_bytes",
    "publish_folder",
    "publish_json",
    "publish_parquet",
    "publishing",
    "read_json",
    "read_manifest",
    "sweep",
]
