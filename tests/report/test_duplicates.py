"""Photos that lie at several paths, and their pictures."""

from pathlib import Path

import pyarrow as pa

from tasks.decode.images import read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.keys import file_sha256
from tasks.report.duplicates import PhotoCopies, find_repetitions, show_repeated
from tasks.report.pictures import decode_pictures
from tasks.report.selection import MOST_SHOWN
from tasks.report.view_model import PhotoPath
from tasks.shards.schemas import SNAPSHOT
from tests.bottleneck.pictures import draw, encode, key_of
from tests.report.laid_out import row


def test_duplicates_are_grouped_under_their_first_path_and_conflicts_list_every_place() -> None:
    rows = [
        row(1, "daisy/a.jpg"),
        row(1, "daisy/b.jpg", duplicate_of="daisy/a.jpg"),
        row(1, "daisy/c.jpg", duplicate_of="daisy/a.jpg"),
        row(2, "roses/d.jpg"),
        row(3, "roses/e.jpg"),
        row(3, "roses/f.jpg", duplicate_of="roses/e.jpg"),
        row(4, "roses/g.jpg", conflict=True),
        row(4, "tulips/h.jpg", conflict=True),
    ]
    found = find_repetitions(pa.Table.from_pylist(rows, SNAPSHOT))
    assert found.duplicates == [
        PhotoCopies(key_of(1), [PhotoPath(f"daisy/{name}.jpg", "daisy") for name in "abc"]),
        PhotoCopies(key_of(3), [PhotoPath(f"roses/{name}.jpg", "roses") for name in "ef"]),
    ]
    assert found.conflicts == [
        PhotoCopies(key_of(4), [PhotoPath("roses/g.jpg", "roses"), PhotoPath("tulips/h.jpg", "tulips")])
    ]
    assert found.shown() == [*found.conflicts, *found.duplicates]


def test_the_first_ones_have_a_picture() -> None:
    groups = [PhotoCopies(key_of(number), []) for number in range(MOST_SHOWN + 1)]
    shown = show_repeated(groups, {key_of(number): b"picture" for number in (0, MOST_SHOWN)})
    assert [one.image for one in shown] == [b"picture", *[None] * MOST_SHOWN]


def test_pictures_are_made_of_files_and_what_is_gone_changed_or_damaged_has_none(tmp_path: Path) -> None:
    (tmp_path / "daisy").mkdir()
    files = {"good": encode(draw(1, 8)), "changed": encode(draw(2, 8)), "damaged": b"\x89PNG\r\n\x1a\n"}
    for name, content in files.items():
        (tmp_path / "daisy" / name).write_bytes(content)
    keys = {name: file_sha256(tmp_path / "daisy" / name) for name in ("good", "damaged")}
    paths = {key: f"daisy/{name}" for name, key in keys.items()}
    asked = {**paths, key_of(2): "daisy/changed", key_of(3): "daisy/gone"}
    made = decode_pictures(asked, tmp_path, DecodeSettings(8, 8, encoding="png"))
    assert made.keys() == {keys["good"]}
    assert (read_pixels(made[keys["good"]]) == draw(1, 8)).all()
