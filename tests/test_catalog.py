"""The catalog: complete entries, and the other forms in which a user may name a dataset or a backbone."""

import os
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import get_args

import pytest

from tasks.backbone.kinds import KINDS
from tasks.backbone.scaling import OWN, SCALINGS
from tasks.catalog import Dataset, backbone_names, find_backbone, read_catalog, split_backbones
from tasks.catalog import find_dataset as find_dataset_of
from tasks.decode.settings import Crop, Resampling
from tasks.errors import DatasetError, PipelineError, SettingError
from tasks.keys import file_sha256

DATASETS = sorted(read_catalog()["datasets"])
PACKAGED = [name for name in backbone_names() if find_backbone(name).package]
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{8}")


def find(text: object, *known: Dataset) -> Dataset:
    """Find a dataset, some of which are known from earlier runs."""
    return find_dataset_of(str(text), 400, {dataset.name: dataset for dataset in known}.get)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder of photos and a link to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    return tmp_path


@pytest.fixture
def user_catalog(here: Path) -> Path:
    """The catalog of the current folder, which does not exist yet."""
    (here / "data").mkdir()
    return here / "data" / "catalog.toml"


def test_the_catalog_has_the_datasets_and_backbones_of_the_architecture() -> None:
    assert DATASETS == ["flower_photos", "sample"]
    assert PACKAGED == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    others = ["convnext_tiny", "dinov2_base", "dinov2_small", "inception_2015", "siglip2_base"]
    assert backbone_names() == sorted([*PACKAGED, *others])
    dataset = find("flower_photos")
    assert (dataset.name, dataset.kind, dataset.size) == ("flower_photos", "url", 228_813_984)
    assert dataset.location == "https://download.tensorflow.org/example_images/flower_photos.tgz"
    assert dataset.sha256 == "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"
    assert dataset.licence.startswith("CC-BY-2.0")


@pytest.mark.parametrize("photos", [400, 100_000])
def test_sample_is_another_dataset_for_another_number_of_photos(photos: int) -> None:
    assert find_dataset_of("sample", photos) == Dataset(f"sample-{photos}", "sample", str(photos), licence="CC0-1.0")


@pytest.mark.parametrize("name", backbone_names())
def test_a_backbone_is_complete_and_has_size_and_hash_if_a_package_ships_it(name: str) -> None:
    entry = find_backbone(name)
    assert entry.kind in KINDS
    assert entry.scaling in {OWN, *SCALINGS}
    assert entry.resampling in get_args(Resampling)
    assert entry.crop in get_args(Crop)
    assert entry.url.startswith("https://")
    assert 100 <= entry.size <= 600
    assert entry.licence in {"Apache-2.0", "MIT"}
    if entry.package:
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256 or "")
        assert (entry.bytes or 0) > 1_000_000


def test_the_network_of_2015_is_fetched_and_read_where_its_graph_allows_batches() -> None:
    entry = find_backbone("inception_2015")
    assert entry.url.endswith("/models/inception_dec_2015.zip")
    assert (entry.file, entry.package, entry.sha256) == ("tensorflow_inception_graph.pb", "", None)
    assert (entry.input_tensor, entry.size) == ("Mul:0", 299)
    assert entry.bottleneck_tensor.split(",") == ["pool_3:0", "mixed_8/join:0", "mixed_9/join:0"]


@pytest.mark.parametrize("name", PACKAGED)
def test_the_installed_weights_are_those_of_the_catalog(name: str) -> None:
    entry = find_backbone(name)
    try:
        path = Path(str(distribution(entry.package).locate_file(entry.file)))
    except PackageNotFoundError:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {entry.package}")
        pytest.skip(f"{entry.package} is not installed")
    assert (path.stat().st_size, file_sha256(path)) == (entry.bytes, entry.sha256)


@pytest.mark.parametrize(
    "text",
    [
        *("flowerphotos", "Sample", "", "no/such/folder", "~nobody-of-this-name/photos", "x" * 300, "x" * 5000, "a\0b"),
        "loop",
    ],
)
def test_an_unknown_dataset_names_the_path_and_lists_the_known_ones(here: Path, text: str) -> None:
    (here / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match=r"There is no dataset .*flower_photos, sample") as caught:
        find(text)
    assert repr(text) in str(caught.value)
    assert repr(f"{here}/{text}" if text else text) in str(caught.value)


def test_an_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'resnet'.*efficientnet_lite0, .*inception_2015.*keras:<Name>"):
        find_backbone("resnet")


@pytest.mark.parametrize(
    ("text", "backbones"),
    [
        ("lite0", ("lite0",)),
        ("lite0+lite2", ("lite0", "lite2")),
        ("lite0 + keras:MobileNetV2 + a/b.keras", ("lite0", "keras:MobileNetV2", "a/b.keras")),
        ("lite0+", ("lite0", "")),
        # A path that exists, and a name of the catalog.
        ("mine+yours.keras", ("mine+yours.keras",)),
        ("a+b", ("a+b",)),
    ],
)
def test_several_backbones_are_joined_by_a_plus(user_catalog: Path, text: str, backbones: tuple[str, ...]) -> None:
    Path("mine+yours.keras").touch()
    user_catalog.write_text("[backbones.'a+b']\nsize = 8\n")
    assert split_backbones(text) == backbones


def test_one_folder_is_used_in_place_under_one_name_however_it_is_written(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    (dataset,) = {find(way) for way in ("photos", "photos/", "./photos", here / "photos", "link/../photos", "~/photos")}
    assert (dataset.kind, dataset.location) == ("folder", str(here / "photos"))


def test_a_link_is_one_dataset_wherever_it_leads_and_where_it_leads_nowhere(here: Path) -> None:
    before = find("link")
    assert (before.name.startswith("link-"), before.location) == (True, str(here / "link"))
    (here / "photos").rename(here / "other")
    assert find("link", before) == before
    (here / "link").unlink()
    (here / "link").symlink_to("other")
    assert find("link") == before


def test_a_dataset_that_an_earlier_version_named_by_where_its_link_led_keeps_its_name(here: Path) -> None:
    earlier, found = find("photos"), find("link", find("photos"))
    assert (found.name, found.location) == (earlier.name, str(here / "link"))


def test_a_folder_called_like_a_dataset_needs_a_path(here: Path) -> None:
    (here / "sample").mkdir()
    assert (find("sample").kind, find("./sample").kind) == ("sample", "folder")


@pytest.mark.parametrize(
    ("text", "kind", "location", "readable"),
    [
        ("Flowers 2026.tgz", "archive", "{here}/Flowers 2026.tgz", "flowers-2026-tgz"),
        ("flowers.parquet", "folder", "{here}/flowers.parquet", "flowers-parquet"),
        ("http://localhost:8000/flowers.zip", "url", "http://localhost:8000/flowers.zip", "flowers-zip"),
        ("https://host/a/flowers.zip", "url", "https://host/a/flowers.zip", "flowers-zip"),
        ("s3://bucket/2026/Flower photos", "folder", "s3://bucket/2026/Flower photos", "flower-photos"),
        ("s3://bucket/2026/Flower photos/", "folder", "s3://bucket/2026/Flower photos", "flower-photos"),
    ],
)
def test_a_file_is_an_archive_a_url_is_fetched_and_parquet_and_a_folder_of_a_store_are_used_in_place(
    here: Path, text: str, kind: str, location: str, readable: str
) -> None:
    (here / "Flowers 2026.tgz").touch()
    (here / "flowers.parquet").touch()
    dataset = find(text)
    assert (dataset.kind, dataset.location) == (kind, location.format(here=here))
    assert (dataset.size, dataset.sha256) == (None, None)
    assert dataset.name.startswith(f"{readable}-")
    assert SLUG.fullmatch(dataset.name)


@pytest.mark.parametrize("way", ["photos", "./photos/", "link", "{0}/photos"])
def test_a_folder_that_is_gone_is_found_by_the_name_that_it_had(here: Path, way: str) -> None:
    before = find("photos")
    (here / "photos").rmdir()
    assert find(way.format(here), before) == before
    with pytest.raises(DatasetError, match="There is no dataset"):
        find("other", before)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("https://[host/photos.tgz", DatasetError, "is no valid URL"),
        ("s3://key:hunter2@bucket/photos", SettingError, "holds credentials"),
    ],
)
def test_an_invalid_address_is_refused_without_its_credentials(
    text: str, error: type[PipelineError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        find(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("photos", "photos"),
        ("My Photos  2026", "my-photos-2026"),
        ("été à Paris", "t-paris"),
        ("蒲公英", "dataset"),
        ("--x--", "x"),
        ("a" * 200, "a" * 40),
        (os.fsdecode(b"r\xe9sum\xe9"), "r-sum"),
    ],
)
def test_a_name_is_safe_as_a_folder_and_an_option(tmp_path: Path, name: str, readable: str) -> None:
    (tmp_path / name).mkdir()
    slug = find(tmp_path / name).name
    assert slug.startswith(f"{readable}-")
    assert SLUG.fullmatch(slug)


@pytest.mark.parametrize(
    "places",
    [
        ["one/photos", "other/photos"],
        ["https://host/one/photos.tgz", "https://host/other/photos.tgz"],
        ["s3://bucket/photos", "s3://other/photos", "s3://bucket/more/photos", "s3://photos"],
    ],
)
def test_places_that_end_alike_are_several_datasets(here: Path, places: list[str]) -> None:
    for parent in ("one", "other"):
        (here / parent / "photos").mkdir(parents=True)
    names = {find(place).name for place in places}
    assert len(names) == len(places)
    assert all(name.startswith("photos-") for name in names)


def test_a_catalog_of_the_current_folder_adds_entries_and_replaces_those_of_the_same_name(user_catalog: Path) -> None:
    assert sorted(read_catalog()["datasets"]) == DATASETS
    entry = 'description = "d"\nurl = "https://host/{0}.tgz"\nbytes = 5\nsha256 = "{1}"\nlicence = "CC0-1.0"\n'
    names = ("mine", "flower_photos")
    user_catalog.write_text("".join(f"[datasets.{name}]\n" + entry.format(name, "0" * 64) for name in names))
    assert sorted(read_catalog()["datasets"]) == ["flower_photos", "mine", "sample"]
    assert [find(name).location for name in names] == [f"https://host/{name}.tgz" for name in names]
    assert "efficientnet_lite0" in backbone_names()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[datasets.sample]\ndescription = no quotes\n", r"{} is not valid TOML .*line 2"),
        *(
            (text, r"{} takes \[datasets.<name>\] and \[backbones.<name>\] only")
            for text in ("[dataset.mine]\n", "datasets.mine = 5\n", "[backbones]\nlite = 'x'\n")
        ),
    ],
)
def test_a_catalog_with_other_content_than_entries_is_refused(user_catalog: Path, text: str, error: str) -> None:
    user_catalog.write_text(text)
    with pytest.raises(SettingError, match=error.format(re.escape(str(user_catalog)))):
        read_catalog()


def test_an_entry_that_lacks_a_key_is_named_with_the_key(user_catalog: Path) -> None:
    url = 'url = "https://host/mine.tgz"\nbytes = 5\n'
    user_catalog.write_text(f'[datasets.mine]\n{url}[backbones.mine]\nkind = "efficientnet_lite"\n')
    with pytest.raises(SettingError, match=r"dataset 'mine' lacks 'sha256'. Add it in data/catalog.toml"):
        find("mine")
    needed = r"backbone 'mine' needs kind, size, url, file, licence, .*may have model, crop"
    with pytest.raises(SettingError, match=needed):
        find_backbone("mine")


def test_a_dataset_of_the_catalog_may_be_a_folder_on_an_object_store(user_catalog: Path) -> None:
    user_catalog.write_text('[datasets.mine]\ndescription = "d"\nurl = "s3://bucket/photos/"\nlicence = "CC0-1.0"\n')
    assert find("mine") == Dataset("mine", "folder", "s3://bucket/photos", licence="CC0-1.0", description="d")
