"""The output of a comparison: a table for tools, two figures, and a self-contained report."""

import datetime as dt
import re
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tasks.compare.report import publish_comparison
from tasks.compare.settings import WAYS, Way
from tasks.report.svg import BLUE, GREEN, VERMILION
from tests.compare.cells import cell_of
from tests.report.svg import NAMESPACE, read, texts

CORRECT: dict[Way, int] = {"head": 40, "scratch": 10, "finetune": 38}
CELLS = [
    cell_of(way, size, 0, correct + size // 5, cut=way == "scratch")
    for way, correct in CORRECT.items()
    for size in (5, 20, 0)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare") / "cafe"
    publish_comparison(folder, CELLS, "<b>flowers</b>", dt.date(2026, 11, 24), {"epochs": "12"})
    return folder


def test_table_opens_in_duckdb_and_names_its_stage(folder: Path) -> None:
    rows = duckdb.execute(f"SELECT way, count(*) FROM '{folder / 'comparison.parquet'}' GROUP BY ALL").fetchall()  # noqa: S608
    assert dict(rows) == {"head": 3, "scratch": 3, "finetune": 3}
    metadata = pq.read_schema(folder / "comparison.parquet").metadata
    assert (metadata[b"stage"], metadata[b"key"]) == (b"compare", b"cafe")


@pytest.mark.parametrize("name", ["accuracy-by-photos.svg", "accuracy-by-seconds.svg"])
def test_each_figure_has_a_line_of_each_way_s_colour_and_names_it(folder: Path, name: str) -> None:
    svg = (folder / name).read_text()
    lines = [line.get("stroke") for line in read(svg).iter(f"{NAMESPACE}polyline")]
    # Each once as the line, and once in the legend.
    assert Counter(lines) == dict.fromkeys((BLUE, VERMILION, GREEN), 2)
    assert set(texts(svg)) >= set(WAYS.values())


def test_report_shows_every_number_escapes_names_and_makes_no_request(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert page.count("<tr>") == 10
    assert page.count("(cut)") == 3
    assert "82.0\u00a0%" in page
    assert page.count("<svg") == 2
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<b>flowers</b>" not in page
    assert "&lt;b&gt;flowers" in page
