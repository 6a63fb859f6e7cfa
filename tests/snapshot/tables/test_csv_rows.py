"""CSV files as spreadsheets and people write them."""

import pytest

from tasks.snapshot.tables.csv_rows import open_csv


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2\n", "\ufeffa,b\n1,2\n", "a;b\r\n1;2\r\n", "a\tb\n1\t2", 'a, b\n1, "2"\n', "a,b\n\n1,2\n"],
    ids=["commas", "byte order mark", "semicolons", "tabs", "spaces", "empty line"],
)
def test_separators_marks_and_spaces_make_no_difference(text: str) -> None:
    reader = open_csv(text.encode())
    assert reader.fieldnames == ["a", "b"]
    assert list(reader) == [{"a": "1", "b": "2"}]


def test_an_empty_file_has_no_columns() -> None:
    assert open_csv(b"").fieldnames == []


def test_other_encodings_are_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        list(open_csv(b"a,b\nr\xf6se,1\n"))
