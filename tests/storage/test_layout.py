"""Layout: each thing has a place of its own below the root."""

from pathlib import Path

import pytest

from tasks.storage.layout import DataRoot, manifest_path

ROOT = DataRoot(Path("data"))
KEY, DATASET = "0123456789abcdef", "sample-400"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (ROOT.downloads(DATASET), f"download/{DATASET}"),
        (ROOT.snapshot(KEY), f"snapshot/{KEY}.parquet"),
        (ROOT.snapshots(DATASET), f"snapshot/{DATASET}"),
        (ROOT.decode(KEY), f"decode/{KEY}"),
        (ROOT.rejected(KEY), f"decode/{KEY}/rejected"),
        (ROOT.bottleneck(KEY), f"bottleneck/{KEY}"),
        (ROOT.train(KEY), f"train/{KEY}"),
        (ROOT.evaluate(KEY), f"evaluate/{KEY}"),
        (ROOT.runs(DATASET), f"runs/{DATASET}"),
        (manifest_path(ROOT.decode(KEY), "beef"), f"decode/{KEY}/manifests/beef.json"),
    ],
)
def test_paths_are_those_of_the_architecture(path: Path, place: str) -> None:
    assert path.as_posix() == f"data/{place}"


def test_data_root_is_found_from_the_folders_in_it() -> None:
    for folder in (ROOT.train("cafe"), ROOT.runs("sample-400"), ROOT.evaluate("beef")):
        assert DataRoot.above(folder) == ROOT
