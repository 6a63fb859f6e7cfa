"""CSV files as people write them, with commas, semicolons or tabs."""

import csv
import io


def open_csv(data: bytes, errors: str = "strict") -> "csv.DictReader[str]":
    """Open a CSV file in UTF-8, with or without a byte order mark; names of columns are stripped.

    Args:
        data: The bytes of the file.
        errors: As of `bytes.decode`.

    Raises:
        UnicodeDecodeError: The file is not UTF-8; reading further rows may raise it too.
        csv.Error: Likewise, where it is no CSV file.
    """
    first = data[: data.find(b"\n") + 1 or None]
    delimiter = max(b",;\t", key=first.count)
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors=errors, newline="")
    reader = csv.DictReader(text, delimiter=chr(delimiter), skipinitialspace=True)
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    return reader
