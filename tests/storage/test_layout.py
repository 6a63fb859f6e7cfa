"""Layout: each thing has a place of its own, and none is outside the root."""

import itertools
from pathlib import Path

import pytest

from tasks.catalog import find_dataset
from tasks.storage.layout import DataRoot, manifest_path

ROOT = DataRoot(Path("data"))
KEY, DATASET = "0123456789abcdef", "sample-400"


def places(dataset: str) -> dict[str, Path]:
    return {
        "downloads": ROOT.downloads(dataset),
        "snapshot": ROOT.snapshot(KEY),
        "snapshots": ROOT.snapshots(dataset),
        "decode": ROOT.decode(KEY),
        "rejected": ROOT.rejected(KEY),
        "bottleneck": ROOT.bottleneck(KEY),
        "train": ROOT.train(KEY),
        "evaluate": ROOT.evaluate(KEY),
        "runs": ROOT.runs(dataset),
    }


def test_things_lie_where_the_architecture_says() -> None:
    assert {name: path.as_posix() for name, path in places(DATASET).items()} == {
        "downloads": f"data/download/{DATASET}",
        "snapshot": f"data/snapshot/{KEY}.parquet",
        "snapshots": f"data/snapshot/{DATASET}",
        "decode": f"data/decode/{KEY}",
        "rejected": f"data/decode/{KEY}/rejected",
        "bottleneck": f"data/bottleneck/{KEY}",
        "train": f"data/train/{KEY}",
        "evaluate": f"data/evaluate/{KEY}",
        "runs": f"data/runs/{DATASET}",
    }
    assert manifest_path(ROOT.decode(KEY), "beef").as_posix() == f"data/decode/{KEY}/manifests/beef.json"


@pytest.mark.parametrize(
    "given",
    ["/", ".", "..", "../..", "https://host/..", "https://host/%2e%2e/", "https://host/a/../../b.zip", "https://host"],
)
def test_no_dataset_that_a_user_may_give_leaves_the_root(given: str) -> None:
    name = find_dataset(given, sample_photos=400).name
    for path in places(name).values():
        assert ".." not in path.parts
        assert path.resolve().is_relative_to(ROOT.path.resolve())
    assert ROOT.runs(name).parent == ROOT.path / "runs"


def test_no_two_things_share_a_place() -> None:
    for one, other in itertools.combinations(places(DATASET).values(), 2):
        assert one != other


def test_data_root_is_found_from_the_folders_in_it() -> None:
    root = DataRoot(Path("some") / "data")
    for folder in (root.train("cafe"), root.runs("sample-400"), root.evaluate("beef")):
        assert DataRoot.above(folder) == root
