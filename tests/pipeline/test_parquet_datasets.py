"""Datasets of Parquet files through the real command: the head of the same photos as files, night after night."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tasks.paths import AnyPath, to_path
from tests.pipeline.command import Project, assert_error, option_words, verb
from tests.snapshot.parquet.parquet_files import parquet, photos_in_rows
from tests.snapshot.photo_files import put
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import ObjectStore

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"


@dataclass(frozen=True)
class ParquetProject(Project):
    """Parquet files here or on a store, and a data root."""

    photos: AnyPath  # type: ignore[assignment]


@pytest.fixture
def remote_folder(object_store: ObjectStore) -> AnyPath:
    """An empty folder of an object store."""
    return to_path(object_store.url("photos"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A folder of photos of two labels."""
    return Project.drawn(tmp_path, 44, labels=2)


def shards(photos: Path, *bounds: int) -> dict[str, bytes]:
    """Parquet files of the photos of a folder, one from each number of a photo to the next."""
    files: Sequence[Path] = sorted(photos.glob("*/*.jpg"), key=lambda path: path.name)
    pieces = {start: photos_in_rows(files[start:end]) for start, end in pairwise(bounds)}
    return {f"data/part-{start:03}.parquet": parquet(piece, 7) for start, piece in pieces.items()}


def test_photos_in_parquet_files_make_the_head_of_the_same_photos_in_folders(
    project: Project, folder: AnyPath, tmp_path: Path
) -> None:
    project.retrain_forked(date=FIRST).check()
    rows = ParquetProject(put(folder, shards(project.photos, 0, 20, 40)), tmp_path / "rows")
    rows.retrain_forked(date=FIRST).check()
    assert (rows.new(FIRST)["snapshot"], rows.new(FIRST)["decode"]) == (40, 40)
    put(folder, shards(project.photos, 40, 44))
    done = rows.retrain_forked(date=SECOND).check()
    assert "44 used, 4 of them new" in done.output
    assert rows.new(SECOND)["decode"] == 4
    nights = [(project, FIRST), (rows, SECOND)]
    here, there = (np.load(each.root / "train" / each.record(date)["head"] / "head.npz") for each, date in nights)
    assert here.files == there.files
    assert all(np.array_equal(here[name], there[name]) for name in here.files if here[name].dtype.kind == "f")
    assert "Nothing to do" in rows.retrain_forked(date=SECOND).check().output


def test_another_shard_of_today_makes_another_snapshot_and_a_missing_one_stops_the_run(
    project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    rows = ParquetProject(put(folder, shards(project.photos, 0, 20, 40)), tmp_path / "rows")
    rows.retrain_forked().check()
    put(folder, shards(project.photos, 40, 44))
    assert "44 used" in rows.retrain_forked().check().output
    (folder / "data" / "part-000.parquet").unlink()
    assert_error(rows.retrain_forked(), 52, "20 of the 44 photos of", "are gone", "more than --max-shrink 0.2")


def test_corrections_audit_and_predictions_name_rows(project: Project, tmp_path: Path) -> None:
    folder = put(tmp_path / "shards", shards(project.photos, 0, 44))
    rows = ParquetProject(folder, tmp_path / "rows")
    corrections = tmp_path / "corrections.csv"
    corrections.write_text("path,label\ndata/part-000.parquet#3/003.jpg,\n")
    done = rows.retrain_forked(date=FIRST, corrections=str(corrections)).check()
    assert "0 relabelled, 1 excluded" in done.output
    (runs,) = (rows.root / "runs").iterdir()
    audited = verb("audit", runs.name, "--data-root", rows.root, "--csv", tmp_path / "audit.csv")
    assert audited.code == 0, audited.errors
    status = verb("status", *option_words(rows.options(date=SECOND)))
    assert status.code == 0, status.errors
    assert "43" in status.output


def test_the_decode_store_is_a_dataset_with_the_snapshot_as_its_table_of_labels(
    project: Project, tmp_path: Path
) -> None:
    project.retrain_forked(date=FIRST).check()
    (shard,) = project.root.glob("decode/*/part-*.parquet")
    labels = project.root / "snapshot" / f"{project.record(FIRST)['snapshot']}.parquet"
    store = Project(shard.parent, tmp_path / "again")
    done = store.retrain_forked(date=FIRST, labels=str(labels)).check()
    assert "44 used, 44 of them new; 0 rejected" in done.output
    assert not [line for line in done.output.splitlines() if line.startswith(("Ignored", "No label"))]
    counts = [each.record(FIRST)["stages"]["snapshot"]["details"]["labels"] for each in (project, store)]
    assert counts[0] == counts[1]


def test_a_parquet_file_without_images_is_refused_by_its_columns(project: Project, tmp_path: Path) -> None:
    files = sorted(project.photos.glob("*/*.jpg"))
    table = photos_in_rows(files).drop_columns("image")
    rows = ParquetProject(put(tmp_path / "shards", {"a.parquet": parquet(table)}), tmp_path / "rows")
    assert_error(rows.retrain_forked(), 52, "a.parquet has no column of images among its columns 'label' (int64)")


def test_a_store_is_asked_for_each_row_group_once_a_stage_and_on_the_next_night_for_new_files_only(
    project: Project, remote_folder: AnyPath, gateway: Gateway, tmp_path: Path
) -> None:
    put(remote_folder, shards(project.photos, 0, 20, 40))
    rows = ParquetProject(remote_folder, tmp_path / "rows")

    def requests(date: str) -> int:
        with gateway.counting() as counted:
            rows.retrain(gateway_of(gateway), date=date).check()
        return counted["GET"] + counted["HEAD"]

    # Two files of three row groups each, in the snapshot and in decode, with their ends and sizes.
    assert requests(FIRST) <= 2 * (2 + 2 * 3) + 2
    put(remote_folder, shards(project.photos, 40, 44))
    assert requests(SECOND) <= 2 * (2 + 1) + 2
    assert requests(THIRD) == 0


def gateway_of(gateway: Gateway) -> dict[str, str]:
    """The environment of a command that goes through a gateway."""
    return {"AWS_ENDPOINT_URL": gateway.address}
