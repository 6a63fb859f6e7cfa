"""The catalog: complete entries, and the folders, archives and URLs that may be given in place of a name."""

import os
import re
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import get_args

import pytest

from tasks.backbone.kinds import KINDS
from tasks.backbone.scaling import SCALINGS
from tasks.catalog import Dataset, backbone_names, find_backbone, find_dataset, read_catalog, split_backbones
from tasks.decode.settings import Crop, Resampling
from tasks.errors import DatasetError, SettingError
from tasks.keys import file_sha256

DATASETS = sorted(read_catalog()["datasets"])
PACKAGED = [name for name in backbone_names() if find_backbone(name).package]
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{8}")


@pytest.fixture
def user_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalog of the current folder, which is not there yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "catalog.toml"


def test_the_catalog_has_the_datasets_and_backbones_of_the_architecture() -> None:
    assert DATASETS == ["flower_photos", "sample"]
    assert PACKAGED == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    assert backbone_names() == [*PACKAGED, "inception_2015"]


def test_flower_photos_is_the_archive_that_the_architecture_names() -> None:
    dataset = find_dataset("flower_photos", sample_photos=400)
    assert (dataset.name, dataset.kind) == ("flower_photos", "url")
    assert dataset.location == "https://download.tensorflow.org/example_images/flower_photos.tgz"
    assert dataset.size == 228_813_984
    assert dataset.sha256 == "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"
    assert "3,670 photos" in dataset.description
    assert dataset.licence.startswith("CC-BY-2.0")


def test_sample_is_another_dataset_for_another_number_of_photos() -> None:
    small, large = (find_dataset("sample", photos) for photos in (400, 100_000))
    assert asdict(small) == asdict(Dataset("sample-400", "sample", "400", licence="CC0-1.0"))
    assert (large.name, large.location) == ("sample-100000", "100000")


@pytest.mark.parametrize("name", backbone_names())
def test_a_backbone_is_complete(name: str) -> None:
    entry = find_backbone(name)
    assert entry.kind in KINDS
    assert entry.scaling in SCALINGS
    assert entry.resampling in get_args(Resampling)
    assert entry.crop in get_args(Crop)
    assert entry.url.startswith("https://")
    assert 100 <= entry.size <= 600
    assert entry.licence == "Apache-2.0"


@pytest.mark.parametrize("name", PACKAGED)
def test_a_backbone_of_a_package_has_a_size_and_hash(name: str) -> None:
    entry = find_backbone(name)
    assert entry.package
    assert entry.sha256 is not None
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert entry.bytes is not None
    assert entry.bytes > 1_000_000


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
    assert path.stat().st_size == entry.bytes
    assert file_sha256(path) == entry.sha256


@pytest.mark.parametrize(
    "text", ["flowerphotos", "Sample", "", "no/such/folder", "~nobody-of-this-name/photos", "x" * 300]
)
def test_an_unknown_dataset_lists_the_known_ones(text: str) -> None:
    with pytest.raises(DatasetError) as caught:
        find_dataset(text, sample_photos=400)
    assert repr(text) in str(caught.value)
    assert "flower_photos, sample" in str(caught.value)


def test_the_place_that_was_looked_at_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=re.escape(str(tmp_path / "photos"))):
        find_dataset("photos", sample_photos=400)


def test_an_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'resnet'.*efficientnet_lite0, .*inception_2015.*keras:<Name>"):
        find_backbone("resnet")


@pytest.mark.parametrize(
    ("text", "backbones"),
    [
        ("efficientnet_lite0", ("efficientnet_lite0",)),
        ("efficientnet_lite0+efficientnet_lite2", ("efficientnet_lite0", "efficientnet_lite2")),
        (
            "efficientnet_lite0 + keras:MobileNetV2 + a/b.keras",
            ("efficientnet_lite0", "keras:MobileNetV2", "a/b.keras"),
        ),
        ("efficientnet_lite0+", ("efficientnet_lite0", "")),
    ],
)
def test_several_backbones_are_joined_by_a_plus(text: str, backbones: tuple[str, ...]) -> None:
    assert split_backbones(text) == backbones


def test_a_path_that_exists_with_a_plus_in_it_is_one_backbone(tmp_path: Path) -> None:
    path = tmp_path / "mine+yours.keras"
    path.touch()
    assert split_backbones(str(path)) == (str(path),)


def test_a_backbone_of_the_catalog_with_a_plus_in_its_name_is_one(user_catalog: Path) -> None:
    user_catalog.write_text("[backbones.'a+b']\nsize = 8\n")
    assert split_backbones("a+b") == ("a+b",)


def test_a_folder_is_used_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    dataset = find_dataset("photos", sample_photos=400)
    assert (dataset.kind, dataset.location) == ("folder", str(tmp_path / "photos"))


def test_one_folder_has_one_name_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    ways = ["photos", "photos/", "./photos", str(tmp_path / "photos"), "photos/../photos", "~/photos"]
    assert len({find_dataset(way, sample_photos=400) for way in ways}) == 1


def test_a_link_that_leads_to_another_folder_each_night_is_one_dataset(tmp_path: Path) -> None:
    found = []
    for night in ("2026-11-28", "2026-11-29"):
        (tmp_path / night).mkdir()
        (tmp_path / "current").unlink(missing_ok=True)
        (tmp_path / "current").symlink_to(night)
        found.append(find_dataset(str(tmp_path / "current"), sample_photos=400))
    assert found[0] == found[1]
    assert found[0].name.startswith("current-")
    assert found[0].location == str(tmp_path / "current")


def test_a_link_that_leads_nowhere_is_a_dataset_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "current").symlink_to("photos")
    was = find_dataset(str(tmp_path / "current"), sample_photos=400)
    (tmp_path / "photos").rmdir()
    assert find_dataset(was.location, 400, {was.name: was}.get) == was


def test_a_dataset_that_an_earlier_version_named_by_where_its_link_led_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    was = find_dataset(str(tmp_path / "photos"), sample_photos=400)
    found = find_dataset(str(tmp_path / "link"), 400, {was.name: was}.get)
    assert (found.name, found.location) == (was.name, str(tmp_path / "link"))


def test_a_folder_called_like_a_dataset_needs_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_dataset("sample", sample_photos=400).kind == "sample"
    assert find_dataset("./sample", sample_photos=400).kind == "folder"


def test_a_file_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "Flowers 2026.tgz").touch()
    dataset = find_dataset(str(tmp_path / "Flowers 2026.tgz"), sample_photos=400)
    assert (dataset.kind, dataset.location) == ("archive", str(tmp_path / "Flowers 2026.tgz"))
    assert dataset.name.startswith("flowers-2026-tgz-")


@pytest.mark.parametrize("way", ["photos", "./photos/", "link", "{0}/photos"])
def test_a_folder_that_is_gone_is_asked_for_by_the_name_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    was = find_dataset("photos", sample_photos=400)
    (tmp_path / "photos").rmdir()
    known = {was.name: was}
    assert find_dataset(way.format(tmp_path), 400, known.get) == was
    with pytest.raises(DatasetError, match="There is no dataset"):
        find_dataset("other", 400, known.get)


@pytest.mark.parametrize("text", ["", "a\0b", "~nobody-of-this-name/photos", "x" * 5000, "loop"])
def test_what_can_be_no_path_is_no_dataset_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match="There is no dataset"):
        find_dataset(text, 400)


def test_what_begins_as_a_url_and_is_none_is_refused() -> None:
    with pytest.raises(DatasetError, match="is no valid URL"):
        find_dataset("https://[host/photos.tgz", 400)


@pytest.mark.parametrize("url", ["http://localhost:8000/flowers.zip", "https://host/a/flowers.zip"])
def test_a_url_is_fetched(url: str) -> None:
    dataset = find_dataset(url, sample_photos=400)
    assert (dataset.kind, dataset.location) == ("url", url)
    assert (dataset.size, dataset.sha256) == (None, None)
    assert dataset.name.startswith("flowers-zip-")


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("photos", "photos"),
        ("My Photos  2026", "my-photos-2026"),
        ("été à Paris", "t-paris"),
        ("蒲公英", "dataset"),
        ("--x--", "x"),
        ("a" * 200, "a" * 40),
    ],
)
def test_a_name_is_safe_as_a_folder_and_an_option(tmp_path: Path, name: str, readable: str) -> None:
    (tmp_path / name).mkdir()
    slug = find_dataset(str(tmp_path / name), sample_photos=400).name
    assert slug.startswith(f"{readable}-")
    assert SLUG.fullmatch(slug)


def test_a_folder_that_is_not_utf8_has_a_name_too(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/r\xe9sum\xe9"
    os.mkdir(path)  # noqa: PTH102 (a Path cannot be made of bytes)
    assert SLUG.fullmatch(find_dataset(os.fsdecode(path), sample_photos=400).name)


def test_datasets_of_one_name_in_different_places_are_several(tmp_path: Path) -> None:
    for parent in ("one", "other"):
        (tmp_path / parent / "photos").mkdir(parents=True)
    for ways in (
        [f"{tmp_path}/one/photos", f"{tmp_path}/other/photos"],
        ["https://host/one/photos.tgz", "https://host/other/photos.tgz"],
        ["s3://bucket/photos", "s3://other/photos", "s3://bucket/more/photos", "s3://photos"],
    ):
        names = {find_dataset(way, sample_photos=400).name for way in ways}
        assert len(names) == len(ways)
        assert all(name.startswith("photos-") for name in names)


def test_a_catalog_of_the_current_folder_adds_entries_and_replaces_those_of_the_same_name(user_catalog: Path) -> None:
    entry = 'description = "d"\nurl = "https://host/{0}.tgz"\nbytes = 5\nsha256 = "{1}"\nlicence = "CC0-1.0"\n'
    names = ("mine", "flower_photos")
    assert sorted(read_catalog()["datasets"]) == DATASETS
    user_catalog.write_text("".join(f"[datasets.{name}]\n" + entry.format(name, "0" * 64) for name in names))
    assert sorted(read_catalog()["datasets"]) == ["flower_photos", "mine", "sample"]
    assert [find_dataset(name, 400).location for name in names] == [f"https://host/{name}.tgz" for name in names]
    assert "efficientnet_lite0" in backbone_names()


def test_a_catalog_that_is_not_toml_is_named_with_the_line(user_catalog: Path) -> None:
    user_catalog.write_text("[datasets.sample]\ndescription = no quotes\n")
    with pytest.raises(SettingError, match=re.escape(str(user_catalog)) + r" is not valid TOML .*line 2"):
        read_catalog()


@pytest.mark.parametrize("text", ["[dataset.mine]\n", "datasets.mine = 5\n", "[backbones]\nlite = 'x'\n"])
def test_a_catalog_with_something_else_than_entries_is_refused(user_catalog: Path, text: str) -> None:
    user_catalog.write_text(text)
    with pytest.raises(SettingError, match=r"takes \[datasets.<name>\] and \[backbones.<name>\] only"):
        read_catalog()


@pytest.mark.parametrize("text", ["s3://bucket/2026/Flower photos", "s3://bucket/2026/Flower photos/"])
def test_a_folder_on_an_object_store_is_used_in_place(text: str) -> None:
    dataset = find_dataset(text, sample_photos=400)
    assert (dataset.kind, dataset.location) == ("folder", "s3://bucket/2026/Flower photos")
    assert dataset.name.startswith("flower-photos-")
    assert SLUG.fullmatch(dataset.name)


def test_an_address_with_credentials_is_refused_without_showing_them() -> None:
    with pytest.raises(SettingError, match="holds credentials") as caught:
        find_dataset("s3://key:hunter2@bucket/photos", sample_photos=400)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            '[datasets.mine]\nurl = "https://host/mine.tgz"\nbytes = 5\n',
            r"dataset 'mine' lacks 'sha256'. Add it in data/catalog.toml",
        ),
        (
            '[backbones.mine]\nkind = "efficientnet_lite"\n',
            r"backbone 'mine' needs kind, size, url, file, licence, .*may have model, crop",
        ),
    ],
)
def test_an_entry_that_lacks_a_key_is_named_with_the_key(user_catalog: Path, entry: str, message: str) -> None:
    user_catalog.write_text(entry)
    with pytest.raises(SettingError, match=message):
        (find_backbone if "backbones" in entry else partial(find_dataset, sample_photos=400))("mine")


def test_a_dataset_of_the_catalog_may_be_a_folder_on_an_object_store(user_catalog: Path) -> None:
    user_catalog.write_text('[datasets.mine]\ndescription = "d"\nurl = "s3://bucket/photos/"\nlicence = "CC0-1.0"\n')
    expected = Dataset("mine", "folder", "s3://bucket/photos", licence="CC0-1.0", description="d")
    assert find_dataset("mine", sample_photos=400) == expected
