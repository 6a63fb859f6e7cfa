"""Tables of labels: which photos they name, what counts as a label, and tables that are refused or not used."""

import unicodedata
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tasks.errors import DatasetError, PipelineError, SettingError
from tasks.paths import AnyPath, to_path
from tasks.progress import NullProgress
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.labels import check_labels, describe_label_table
from tasks.snapshot.photos import Snapshot, take_snapshot
from tasks.snapshot.tables.label_tables import BESIDE, LabelSource
from tests.snapshot.photo_files import put
from tests.support.servers.gateway import Gateway

Files: TypeAlias = dict[str, bytes | str]

FLAT: Files = {f"{number}.jpg": f"photo {number}".encode() for number in range(4)}
FLAT_LABELS = {"0.jpg": "rose", "1.jpg": "rose", "2.jpg": "tulip", "3.jpg": "tulip"}
TABLE = "file_name,label\n" + "".join(f"{name},{label}\n" for name, label in FLAT_LABELS.items())
FOLDERS: Files = {"rose/0.jpg": b"0", "tulip/1.jpg": b"1"}


def take(root: AnyPath, files: Files, labels: LabelSource = BESIDE) -> Snapshot:
    put(root, {path: data.encode() if isinstance(data, str) else data for path, data in files.items()})
    return take_snapshot(root, None, NullProgress(), labels=labels)


def labels_of(snapshot: Snapshot) -> dict[str, str]:
    return dict(zip(snapshot.table["path"].to_pylist(), snapshot.table["label"].to_pylist(), strict=True))


def splits_of(snapshot: Snapshot) -> list[str | None]:
    return list(snapshot.table["split"].to_pylist())


def told(snapshot: Snapshot) -> list[str]:
    assert snapshot.label_table
    return describe_label_table(snapshot.label_table)


@pytest.mark.parametrize("place", ["tmp_path", "remote_folder"])
def test_photos_directly_in_the_folder_and_deeper_get_labels_of_a_table_beside_them(
    place: str, request: pytest.FixtureRequest
) -> None:
    root: AnyPath = request.getfixturevalue(place)
    deep: Files = {"a/b/4.jpg": b"deep", "metadata.csv": TABLE + "a/b/4.jpg,rose\n"}
    snapshot = take(root, FLAT | deep)
    assert labels_of(snapshot) == FLAT_LABELS | {"a/b/4.jpg": "rose"}
    assert told(snapshot) == ["metadata.csv: 5 rows"]
    assert snapshot.ignored.counts == {}


def test_photos_without_a_row_or_a_label_and_rows_without_a_photo_are_counted_and_named(tmp_path: Path) -> None:
    table = "file_name,label\n0.jpg,rose\n1.jpg,\n/2.jpg,rose\n../3.jpg,rose\n"
    snapshot = take(tmp_path, FLAT | {"metadata.csv": table})
    assert labels_of(snapshot) == {"0.jpg": "rose"}
    assert told(snapshot) == [
        "metadata.csv: 4 rows; 2 photos without a row, such as 2.jpg, 3.jpg; 1 photo with an empty label, such as "
        "1.jpg; 2 rows without a photo, such as ../3.jpg, /2.jpg"
    ]
    assert (snapshot.hashed, snapshot.files["path"].to_pylist()) == (2, ["0.jpg"])


def test_names_of_other_systems_are_found_and_labels_are_in_nfc(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "ü") for form in ("NFC", "NFD"))
    files: Files = {f"a/{two}.jpg": b"1", "b/c.jpg": b"2", "d.jpg": b"3", "back\\slash.jpg": b"4"}
    table = f"file_name,label\na/{one}.jpg,{two}\nb\\c.jpg,x\n./d.jpg,x\nback\\slash.jpg,x\n"
    snapshot = take(tmp_path, {**files, "metadata.csv": table})
    assert labels_of(snapshot) == dict.fromkeys(files, "x") | {f"a/{two}.jpg": one}


def test_a_photo_with_two_labels_is_a_conflict_and_one_with_the_same_twice_is_none(tmp_path: Path) -> None:
    snapshot = take(tmp_path, FLAT | {"metadata.csv": TABLE + "0.jpg,tulip\n1.jpg,rose\n"})
    assert (snapshot.conflicts, snapshot.duplicates, snapshot.labels) == (2, 0, {"rose": 1, "tulip": 2})


def test_splits_are_those_of_the_column_or_of_the_folders(tmp_path: Path) -> None:
    column = "file_name,label,split\n0.jpg,rose,Train\n1.jpg,rose,test\n2.jpg,tulip,val\n3.jpg,tulip,\n"
    assert splits_of(take(tmp_path / "a", FLAT | {"metadata.csv": column})) == ["train", "test", "validation", "train"]
    photos: Files = {f"{'train' if number < 2 else 'test'}/{number}.jpg": f"{number}".encode() for number in range(4)}
    rows = [f"{path},{'rose' if path[-5] in '02' else 'tulip'}\n" for path in photos]
    whole = take(tmp_path / "b", photos | {"metadata.csv": "file_name,label\n" + "".join(rows)})
    parts = {f"{name}/metadata.csv": "file_name,label\n" for name in ("train", "test")}
    for row in rows:
        folder, _, own = row.partition("/")
        parts[f"{folder}/metadata.csv"] += own
    apart = take(tmp_path / "c", {**photos, **parts})
    assert splits_of(whole) == ["test", "test", "train", "train"]
    assert (apart.key, told(apart)) == (whole.key, ["test/metadata.csv, train/metadata.csv: 4 rows"])


def test_labels_of_a_table_give_the_snapshot_of_the_same_labels_by_folders(tmp_path: Path) -> None:
    files: Files = {
        f"{label}/{number}.jpg": f"{label} {number}".encode() for label in ("rose", "tulip") for number in "012"
    }
    folders = take(tmp_path, files)
    table = "file_name,label\n" + "".join(f"{path},{path.partition('/')[0]}\n" for path in files)
    assert take(tmp_path, {"metadata.csv": table}).key == folders.key


def test_a_table_elsewhere_may_name_photos_by_their_hash_as_a_snapshot_does(tmp_path: Path) -> None:
    before = take(tmp_path / "photos", FLAT | {"metadata.csv": TABLE})
    publish_parquet(tmp_path / "snapshot.parquet", before.table)
    moved: Files = {f"other/{path}": data for path, data in FLAT.items()}
    after = take(tmp_path / "moved", moved, LabelSource(str(tmp_path / "snapshot.parquet")))
    assert labels_of(after) == {f"other/{path}": label for path, label in FLAT_LABELS.items()}


def test_another_column_may_hold_the_labels(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path;label;colour\n0.jpg;a;red\n1.jpg;b;red\n")
    snapshot = take(tmp_path / "photos", FLAT | {"metadata.csv": TABLE}, LabelSource(str(file), "colour"))
    assert labels_of(snapshot) == {"0.jpg": "red", "1.jpg": "red"}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            "file_name,text\nrose/0.jpg,a rose\n",
            "metadata.csv has no column label (--label-column names another one); it has 'file_name', 'text'",
        ),
        ("title,label\nx,y\n", "metadata.csv has none of the columns file_name, path, which name a photo"),
        (b"titel,gr\xf6\xdfe\nx,y\n", "metadata.csv has none of the columns"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "metadata.csv has none of the columns"),
    ],
)
def test_beside_folders_of_labels_a_file_that_gives_no_labels_is_not_used(
    tmp_path: Path, table: str | bytes, reason: str
) -> None:
    without = take(tmp_path, FOLDERS | {"beside.jpg": b"x"})
    snapshot = take(tmp_path, {"metadata.csv": table})
    (line,) = told(snapshot)
    assert line.startswith(reason)
    assert line.endswith("; folders give the labels")
    assert snapshot.key == without.key
    assert snapshot.ignored.counts == {"not a photo": 1, "outside a label": 1}


@pytest.mark.parametrize(
    ("files", "source", "error", "message"),
    [
        ({"metadata.csv": b"file_name,label\n\xf6,1\n"}, BESIDE, DatasetError, r"metadata\.csv is not UTF-8 text"),
        ({"metadata.csv": b""}, BESIDE, DatasetError, r"metadata\.csv has no columns\. Mend it, or rename it"),
        ({"metadata.csv": b"file_name,label\n"}, BESIDE, DatasetError, "has no rows that name a photo"),
        ({"metadata.parquet": b"PAR1"}, BESIDE, DatasetError, r"metadata\.parquet is no Parquet file"),
        ({"metadata.csv": b"file_name,label\nx.jpg,1\n"}, BESIDE, DatasetError, r"the rows name 'x\.jpg', and the"),
        (
            {"metadata.csv": b"file_name,label,split\n0.jpg,1,fold3\n"},
            BESIDE,
            DatasetError,
            "has in the column split 'fold3'; train, validation and test are known",
        ),
        ({"metadata.csv": TABLE.encode()}, LabelSource("", "kind"), SettingError, "it has 'file_name', 'label'"),
        ({}, LabelSource("", "kind"), SettingError, r"There is no metadata\.csv"),
        ({}, LabelSource("/nowhere.csv"), SettingError, r"--labels /nowhere\.csv cannot be read \(No such file"),
    ],
)
def test_tables_that_cannot_be_used_are_errors_with_a_remedy(
    tmp_path: Path, files: Files, source: LabelSource, error: type[PipelineError], message: str
) -> None:
    with pytest.raises(error, match=message):
        take(tmp_path, FLAT | files, source)


def test_photos_without_folders_and_table_are_an_error_that_names_the_table(tmp_path: Path) -> None:
    snapshot = take(tmp_path, FLAT | {"metadata.csv": "file_name,text\n0.jpg,a rose\n"})
    facts: Any = snapshot.label_table
    with pytest.raises(
        DatasetError, match=r"as metadata\.csv, or give one with --labels.*metadata\.csv has no column label"
    ):
        check_labels(snapshot.labels, snapshot.ignored, None, facts)


def test_a_table_on_a_store_is_one_request_and_part_of_the_state(remote_folder: AnyPath, gateway: Gateway) -> None:
    root = to_path(str(remote_folder))
    with gateway.counting() as cold:
        first = take(root, FLAT | {"metadata.csv": TABLE, "notes.txt": "x"})
    assert (cold["LIST"], cold["GET"]) == (1, 5)
    second = take(root, {"metadata.csv": TABLE.replace("0.jpg,rose", "0.jpg,tulip")})
    assert first.state != second.state
    assert first.key != second.key
