"""Paths of a stage's outputs, and names of the stages of a run."""

from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.stage_spec import StageSpec, kind_of, number_of, of_kind, stage_name
from tasks.storage.layout import DataRoot

ROOT = DataRoot(Path("data"))
KEY = "0123456789abcdef"
SPEC = StageSpec(
    "store",
    outputs=("store/{key}/manifests/{snapshot}.json", "store/{key}/"),
    permanent=("store/{dataset}.json",),
)


def test_the_outputs_that_fields_fill_are_found() -> None:
    folder = Path("data/store") / KEY
    assert SPEC.paths(ROOT, key=KEY) == [folder]
    assert SPEC.paths(ROOT, key=KEY, snapshot="cafe", dataset="x") == [folder / "manifests" / "cafe.json", folder]
    assert SPEC.paths(ROOT, permanent=True, dataset="x") == [Path("data/store/x.json")]


@pytest.mark.parametrize("name", ["..", "a/b", "a\0"])
def test_no_field_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(StoreError, match="is no name of anything below"):
        SPEC.paths(ROOT, key=name)


def test_the_key_is_read_from_the_path_of_an_output_and_of_what_is_in_it() -> None:
    for path in (f"store/{KEY}", f"store/{KEY}/part-{KEY}.parquet", f"store/{KEY}/manifests/{KEY}.json"):
        assert SPEC.key_in(ROOT.path / path, ROOT) == KEY
    for path in (f"store/{KEY}0", f"other/{KEY}", "store/notes"):
        assert SPEC.key_in(ROOT.path / path, ROOT) is None


@pytest.mark.parametrize(("kind", "number", "name"), [("decode", 1, "decode"), ("bottleneck", 12, "bottleneck-12")])
def test_a_name_says_the_kind_and_which_of_it(kind: str, number: int, name: str) -> None:
    assert stage_name(kind, number) == name
    assert (kind_of(name), number_of(name)) == (kind, number)


def test_stages_of_a_kind_are_found_in_their_order() -> None:
    stages = {"decode": 1, "decode-2": 2, "bottleneck": 3, "train": 4}
    assert of_kind(stages, "decode") == [1, 2]
    assert of_kind(stages, "export") == []
