"""`python -m pipeline inspect`: rows, labels, settings and photos of the stages' outputs."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.paths import AnyPath
from tasks.shards.parquet import publish_parquet
from tasks.shards.schemas import PREDICTIONS, describe
from tasks.snapshot.photos import read_snapshot, usable
from tasks.train.settings import TrainSettings
from tests.pipeline.command import Finished, Project, assert_error, draw, verb
from tests.pipeline.in_process import decode, run_of


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A data root with 12 decoded photos of 3 labels and one rejected, and bottlenecks that are made up."""
    project = Project.drawn(tmp_path_factory.mktemp("inspect"), 12)
    (project.photos / "daisy" / "broken.jpg").write_bytes(b"broken")
    run = decode(project)
    settings = run.settings([each.prepared().backbone for each in run.prepare_backbones()]).train
    assert isinstance(settings, TrainSettings)
    (bottleneck,) = settings.bottlenecks
    store = bottleneck.store(run.root)
    keys = pq.read_table(shard(project, "decode"))["sha256"].to_pylist()
    for own in (keys[:8], keys[8:]):
        vectors = pa.array([[125] * bottleneck.backbone.width] * len(own), store.schema.field("bottleneck").type)
        store.append(pa.table({"sha256": own, "view": pa.array([0] * len(own), pa.int8()), "bottleneck": vectors}))
    return project


def shard(project: Project, stage: str) -> Path:
    return min(project.root.glob(f"{stage}/*/part-*.parquet"))


def inspect(path: AnyPath, *arguments: object) -> Finished:
    return verb("inspect", path, *arguments)


def look(path: AnyPath, *arguments: object) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(inspect(path, "--json", *arguments).check().output)
    return told


def test_a_snapshot_counts_its_own_labels_and_shows_its_first_rows(project: Project) -> None:
    (path,) = project.root.glob("snapshot/*.parquet")
    told = look(path, "--rows", 2)
    assert (told["stage"], told["key"], told["schema_version"], told["rows"]) == ("snapshot", path.stem, 1, 13)
    assert told["labels"] == {"daisy": 5, "dandelion": 4, "roses": 4}
    assert [row["path"] for row in told["sample"]] == ["daisy/000.jpg", "daisy/003.jpg"]
    assert told["columns"][0] == {"name": "sha256", "type": "string"}


def test_a_decoded_store_takes_labels_from_the_snapshot_and_shows_the_settings_behind_its_key(project: Project) -> None:
    told = look(shard(project, "decode").parent)
    assert (told["stage"], told["rows"], told["shards"]) == ("decode", 12, 1)
    assert told["key"] == shard(project, "decode").parent.name
    assert told["settings"]["size"] == 64
    assert told["labels"] == {"daisy": 4, "dandelion": 4, "roses": 4}
    assert told["snapshot"] == run_of(project).take_snapshot().manifest().key
    assert len(told["sample"]) == 5
    assert told["sample"][0]["image"]["bytes"].endswith(" bytes>")


def test_a_bottleneck_store_counts_photos_over_all_its_shards_and_shortens_vectors(project: Project) -> None:
    told = look(shard(project, "bottleneck").parent, "--rows", 9)
    assert (told["rows"], told["shards"], len(told["sample"])) == (12, 2, 9)
    assert told["labels"] == {"daisy": 4, "dandelion": 4, "roses": 4}
    assert told["sample"][0]["bottleneck"] == "[125, 125, 125, 125, ... 1,280 in all]"
    assert told["settings"]["backbone"]["name"] == "efficientnet_lite0"


def test_rejected_photos_are_told_apart_from_decoded_ones(project: Project) -> None:
    told = look(shard(project, "decode").parent / "rejected")
    assert told["what"] == "photos that could not be decoded"
    assert (told["rows"], told["labels"]) == (1, {"daisy": 1})


def test_a_snapshot_of_another_dataset_leaves_photos_without_labels(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "others", tmp_path / "data")
    shutil.copytree(project.root, other.root)
    draw(other.photos, range(3, 15))
    store, task = shard(other, "decode").parent, run_of(other).take_snapshot()
    task.run()
    newest = look(store)
    assert newest["snapshot"] == task.manifest().key, "the newest one"
    assert (sum(newest["labels"].values()), newest["unlabelled"]) == (9, 3)
    first = run_of(project).take_snapshot().manifest().key
    assert look(store, "--snapshot", first)["unlabelled"] == 0
    assert_error(inspect(store, "--snapshot", "beef"), 1, "beef.parquet cannot be read")


def test_predictions_are_a_table_of_ours(project: Project, tmp_path: Path) -> None:
    photos = usable(read_snapshot(run_of(project).root, run_of(project).take_snapshot().manifest().key))
    table = photos.select(["sha256", "path", "label"])
    probabilities = pa.array([[0.25, 0.75]] * len(table), pa.list_(pa.float32()))
    for name, values in (("predicted", table["label"]), ("probabilities", probabilities)):
        table = table.append_column(name, values)
    table = table.append_column("split", pa.array(["test"] * len(table)))
    table = table.append_column("cross_validated", probabilities)
    schema = describe(PREDICTIONS, "evaluate", "cafe", {"labels": ["daisy", "roses"]})
    publish_parquet(tmp_path / "predictions.parquet", table.cast(schema))
    told = look(tmp_path / "predictions.parquet")
    assert (told["stage"], told["key"], told["rows"]) == ("evaluate", "cafe", 13)
    assert told["labels"]["daisy"] == 5
    assert told["sample"][0]["probabilities"] == "[0.25, 0.75]"


def test_a_manifest_s_folder_is_told_of_by_what_the_manifest_says(project: Project) -> None:
    run = run_of(project)
    told = look(run.take_snapshot().manifest_path())
    assert (told["stage"], told["key"]) == ("snapshot", run.take_snapshot().manifest().key)
    assert told["facts"]["details"]["labels"]["daisy"] == 5
    assert told["columns"] == []


def test_text_names_everything_in_lines(project: Project) -> None:
    done = inspect(shard(project, "decode").parent, "--rows", 1)
    assert done.code == 0
    lines = done.output.splitlines()
    assert lines[0] == f"{shard(project, 'decode').parent}: decoded photos"
    assert "  size          64" in lines
    assert "dandelion       4" in lines
    assert "image   struct<bytes: binary, path: string>" in lines


def test_photos_draws_a_contact_sheet_with_a_line_of_pictures_a_label(project: Project, tmp_path: Path) -> None:
    store, sheet = shard(project, "decode").parent, tmp_path / "sheet.png"
    done = inspect(store, "--photos", sheet, "--per-label", 3)
    assert (done.code, done.errors) == (0, f"{sheet}: 9 photos\n")
    with Image.open(sheet) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert picture.format == "PNG"
    # Three headings and three lines of pictures, of 184 pixels together, in margins of 20.
    assert pixels.shape == (2 * 20 + 3 * 184 - 4, 2 * 20 + 3 * 148 - 4, 3)
    for line in range(3):
        top = 20 + line * 184
        heading, pictures = pixels[top : top + 40], pixels[top + 40 : top + 180, 20:-20]
        assert 0.001 < (heading < 128).mean() < 0.1, "dark letters on white"
        assert (pictures < 250).any(axis=2).mean() > 0.5


def test_bottlenecks_are_drawn_from_the_decoded_store_beside_them(project: Project, tmp_path: Path) -> None:
    done = inspect(shard(project, "bottleneck").parent, "--photos", tmp_path / "sheet.png")
    assert done.errors == f"{tmp_path / 'sheet.png'}: 12 photos\n"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "There is nothing at"),
        ("foreign.parquet", "not one that this project wrote"),
        ("damaged.parquet", "is damaged"),
        ("text.txt", "is nothing that this project wrote"),
        ("foreign.json", "was not written by this version"),
        ("", "is nothing that this project wrote"),
        ("rotten", "part-rotten.parquet is damaged"),
    ],
)
def test_a_missing_damaged_or_foreign_file_is_one_sentence_and_exit_code_1(
    project: Project, tmp_path: Path, name: str, sentence: str
) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    (tmp_path / "damaged.parquet").write_bytes(shard(project, "decode").read_bytes()[:-9])
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "foreign.json").write_text("[]")
    rotten = bytearray(shard(project, "bottleneck").read_bytes())
    rotten[100] ^= 0xFF
    (tmp_path / "rotten").mkdir()
    (tmp_path / "rotten" / "part-rotten.parquet").write_bytes(rotten)
    done = inspect(tmp_path / name)
    assert_error(done, 1, sentence)
    assert (done.output, done.errors.count("\n")) == ("", 1)
