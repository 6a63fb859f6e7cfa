"""Tables of text in CSV, JSON lines and Parquet, and files that are none."""

import io
import json
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.snapshot.tables.table_files import TableError, column_names, read_texts

COLUMNS = ["file_name", "label"]


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def labels(values: Any) -> bytes:
    return parquet(pa.table({"file_name": ["a.jpg", "b.jpg"], "label": values}))


def read_if_labelled(name: str, data: bytes) -> pa.Table | None:
    return read_texts(name, data, COLUMNS) if set(COLUMNS) <= set(column_names(name, data)) else None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv", b"file_name,label\na.jpg,1\nb.jpg,true\n"),
        ("x.jsonl", b'{"file_name": "a.jpg", "label": 1}\n\n{"label": true, "file_name": "b.jpg"}\n'),
        ("x.parquet", labels(["1", "true"])),
        ("x.parquet", labels(pa.array(["1", "true"]).dictionary_encode())),
        ("x.parquet", labels(pa.array(["1", "true"], pa.large_string()))),
    ],
)
def test_every_format_gives_the_same_texts(name: str, data: bytes) -> None:
    assert column_names(name, data) == COLUMNS
    assert read_texts(name, data, COLUMNS).to_pydict() == {"file_name": ["a.jpg", "b.jpg"], "label": ["1", "true"]}


def test_numbers_of_classes_become_their_names_and_numbers_below_zero_no_label() -> None:
    feature = {"info": {"features": {"label": {"names": ["rose", "tulip"], "_type": "ClassLabel"}}}}
    table = pa.table({"file_name": ["a", "b", "c"], "label": [1, 0, -1]})
    data = parquet(table.replace_schema_metadata({"huggingface": json.dumps(feature)}))
    assert read_texts("x.parquet", data, COLUMNS)["label"].to_pylist() == ["tulip", "rose", None]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.csv", b"file_name,label\nr\xf6se.jpg,1\n", r"is not UTF-8 text \(.*\)\. Save it in UTF-8\."),
        ("x.csv", b'file_name,label\n"' + b"a" * 200_000, r"is no CSV file \(field larger"),
        ("x.csv", b"file_name,label\n" + b"a" * 5000 + b",b\n", "has a text of 5,000 bytes in the column 'file_name'"),
        ("x.jsonl", b'{"file_name": "a", "label": "b"}\n{"file_name": \n', r"is not JSON in line 2"),
        ("x.jsonl", b'[{"file_name": "a", "label": "b"}]', "has no object in line 1"),
        ("x.jsonl", b"[" * 100_000, "is not JSON in line 1"),
        ("x.jsonl", b'{"file_name": "a", "label": ["b"]}', "has a list in the column 'label' of row 1"),
        ("x.jsonl", b'{"file_name": "a", "label": 1.5}', r"has the number 1\.5 in the column 'label' of row 1"),
        ("x.jsonl", b'{"file_name": "a", "label": "\\ud800"}', "holds half of a character"),
        ("x.parquet", b"\x89PNG\r\n\x1a\n" * 4, "is no Parquet file, or a damaged one"),
        ("x.parquet", labels([["a"], ["b"]]), "has in the column 'label' lists, and a photo has one label"),
        ("x.parquet", labels([0.5, 1.0]), "has in the column 'label' values of type double"),
        ("x.parquet", labels(["a", "b" * 10_000]), "has a text of 10,000 bytes in the column 'label'"),
    ],
)
def test_what_is_no_table_of_text_is_an_error_that_tells_why(name: str, data: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_if_labelled(name, data)


@given(start=st.integers(4, 700), junk=st.binary(max_size=40))
def test_a_damaged_parquet_file_gives_texts_or_an_error_of_its_own(start: int, junk: bytes) -> None:
    data = labels(["1", "2"])
    broken = data[:start] + junk + data[start + len(junk) :]
    with suppress(TableError):
        read_if_labelled("x.parquet", broken)
