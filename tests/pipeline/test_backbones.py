"""Backbones beyond the default, several of them, views and recipes: what is computed again, and who computes it."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.retrain import RetrainFlowers
from tasks.cluster.addresses import Cluster
from tasks.errors import MachineError
from tests.backbone import onnx_models
from tests.backbone.inception import build_graph, zip_graph
from tests.pipeline.command import LITTLE, Project, assert_error, draw, option_words, verb
from tests.pipeline.in_process import decode, retrain_here, run_of, stages_of
from tests.support.servers.file_server import FileServer, serving

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
CLASSIC = {"recipe": "classic", "steps": "200"}
PHOTOS = 18
ALONE = {"backbone": "efficientnet_lite0", "image_size": "0", **LITTLE}
JOINED = {**ALONE, "backbone": "efficientnet_lite0+efficientnet_lite2"}
STAGES = ["decode", "decode-2", "bottleneck", "bottleneck-2"]


def archive(folder: Path, seed: int) -> bytes:
    folder.mkdir()
    return zip_graph(folder, build_graph(widths=0.02, seed=seed)).read_bytes()


def test_the_network_of_2015_is_fetched_once_locked_and_run_in_batches(project: Project, tmp_path: Path) -> None:
    with serving(FileServer(archive(tmp_path / "one", seed=0))) as server:
        url = server.url.replace("photos.tgz", "inception_dec_2015.zip")
        options = {"backbone": "inception_2015", "image_size": "0", "weights": url, **LITTLE, **CLASSIC}
        first = project.retrain_forked(**options, date=FIRST).check()
        assert f"inception_dec_2015.zip: sha256 {server.sha256} trusted on first use" in first.output
        assert "Step 200: validation accuracy" in first.output
        assert project.new(FIRST)["decode"] == PHOTOS
        asked = len(server.requests)

        retrain_here(project, **options, date=SECOND)
        assert len(server.requests) == asked
        assert project.record(SECOND)["head"] == project.record(FIRST)["head"]

        (lock,) = project.root.glob("backbone/inception_2015/*.sha256")
        for path in set(lock.parent.iterdir()) - {lock}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        trusted, server.content = server.sha256, archive(tmp_path / "other", seed=1)
        other = project.retrain_forked(**options, date=THIRD)
        assert_error(other, 53, trusted, server.sha256, f"delete {lock}")
    (shard,) = project.root.glob("bottleneck/*/part-*.parquet")
    assert pq.read_table(shard).num_rows == PHOTOS


def test_a_model_of_the_user_is_used_and_used_anew_when_it_changed(project: Project, tmp_path: Path) -> None:
    from tasks.runtime.tensorflow_import import keras  # noqa: PLC0415 (takes seconds)

    def save(seed: int) -> None:
        keras.utils.set_random_seed(seed)
        layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, 2), keras.layers.GlobalAveragePooling2D()]
        keras.Sequential([*layers, keras.layers.Dense(5)]).save(tmp_path / "mine.keras")

    options = {"backbone": str(tmp_path / "mine.keras"), "image_size": "0", **LITTLE}
    for seed, date in enumerate((FIRST, SECOND)):
        save(seed)
        if not seed:
            assert_error(project.retrain_forked(**options), 51, "--scaling")
        retrain_here(project, **options, scaling="unit", date=date)
    assert project.record(FIRST)["bottleneck"] != project.record(SECOND)["bottleneck"]


def test_an_onnx_file_is_trained_on_exported_for_openvino_and_kept_for_the_next_night(
    project: Project, tmp_path: Path
) -> None:
    path = onnx_models.small(tmp_path / "mine.onnx")
    options = {"backbone": str(path), "image_size": "0", "export": "all", "scaling": "unit"}
    assert_error(project.retrain(**{**options, "scaling": "auto"}), 51, "does not say how to scale", "--scaling")
    assert_error(project.retrain(**options, train="finetune"), 51, "mine is a graph whose weights are constants")
    first = project.retrain(**options, date=FIRST).check()
    assert "Served from" in first.output
    (served,) = project.root.glob("serving/*/1")
    assert {"model.xml", "model.bin", "README.md"} <= {file.name for file in served.iterdir()}
    assert "There is no `saved_model`: mine is an ONNX file" in (served / "README.md").read_text()

    draw(project.photos, range(PHOTOS, PHOTOS + 3))
    project.retrain(**options, date=SECOND).check()
    new = project.new(SECOND)
    assert (new["backbone"], new["decode"], new["bottleneck"]) == (0, 3, 3)
    assert project.record(FIRST)["bottleneck"] == project.record(SECOND)["bottleneck"]
    done = verb(
        "predict", project.record(SECOND)["head"], project.photos, *option_words({"data_root": str(project.root)})
    )
    assert done.check().output.count(".jpg") == PHOTOS + 3


def test_distorted_views_are_drawn_once_and_both_recipes_train_on_them(
    project: Project, small: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    distortions = {"flip_left_right": "true", "random_crop": "10", "random_scale": "20", "random_brightness": "30"}
    options = {**small, **distortions, "distorted_views": "3"}
    retrain_here(project, **options, **CLASSIC, date=FIRST)
    output = capsys.readouterr().out
    lines = [line for line in output.splitlines() if line.startswith("Step ")]
    assert [line.split(":")[0] for line in lines] == ["Step 100", "Step 200"]
    assert all(line.endswith("%") for line in lines)
    assert "Final test accuracy = " in output
    (shard,) = project.root.glob("bottleneck/*/part-*.parquet")
    views = pq.read_table(shard, columns=["view"]).column("view").to_pylist()
    assert sorted(views) == sorted([0, 1, 2, 3] * PHOTOS)

    retrain_here(project, **options, recipe="lda", date=SECOND)
    assert project.new(SECOND)["bottleneck"] == 0
    assert project.record(SECOND)["head"] != project.record(FIRST)["head"]

    retrain_here(project, **options, **CLASSIC, seed="1", date=THIRD)
    assert project.new(THIRD)["bottleneck"] == PHOTOS


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Runs with one backbone, then with two, then with one and both crops."""
    project = Project.drawn(tmp_path_factory.mktemp("joined"), PHOTOS)
    for date, options in ((FIRST, ALONE), (SECOND, JOINED), (THIRD, {**ALONE, "views": "4"})):
        retrain_here(project, date=date, **options)
    return project


def call(project: Project, command: str, date: str, options: dict[str, str], *more: str) -> str:
    """Call a verb that asks about a run; returns its output."""
    given = {**run_of(project, date=date, **options).to_str_params(), "date": date}
    kept = {name: value for name, value in given.items() if value not in ("", "False")}
    return verb(command, *more, *option_words(kept)).check().output


def test_joining_computes_only_what_is_missing(joined: Project) -> None:
    alone, both = joined.record(FIRST), joined.record(SECOND)
    assert [joined.new(SECOND)[stage] for stage in STAGES] == [0, PHOTOS, 0, PHOTOS]
    assert both["stages"]["bottleneck"]["key"] == alone["stages"]["bottleneck"]["key"]
    assert list(both["stages"])[:2] == ["backbone", "backbone-2"]
    assert both["head"] != alone["head"]


def test_the_other_crop_is_a_second_store_of_the_same_backbone(joined: Project) -> None:
    new, stages = joined.new(THIRD), joined.record(THIRD)["stages"]
    # The first store lacks the mirror images.
    assert [new[stage] for stage in STAGES] == [0, PHOTOS, PHOTOS, PHOTOS]
    assert "backbone-2" not in stages
    assert [stages[stage]["details"]["rows"] for stage in STAGES[2:]] == [2 * PHOTOS, 2 * PHOTOS]


def test_verbs_name_every_stage_of_several_backbones_and_crops(joined: Project) -> None:
    for date, options in ((SECOND, JOINED), (THIRD, {**ALONE, "views": "4"})):
        steps = {step["stage"]: step for step in json.loads(call(joined, "status", date, options, "--json"))["stages"]}
        assert {step["state"] for step in steps.values()} == {"done"}
        recorded = joined.record(date)["stages"]
        assert {stage: steps[stage]["key"] for stage in STAGES} == {stage: recorded[stage]["key"] for stage in STAGES}
    keys = {stage: step["key"] for stage, step in joined.record(SECOND)["stages"].items()}
    listed = call(joined, "forget", SECOND, JOINED, "bottleneck-2", "--dry-run")
    assert keys["bottleneck-2"] in listed
    assert keys["bottleneck"] not in listed


def test_the_classic_recipe_takes_the_first_crop_alone(joined: Project) -> None:
    stages = stages_of(run_of(joined, **{**JOINED, "views": "4", "recipe": "classic"}, date=THIRD))
    assert [name for name in stages if name.startswith("bottleneck")] == ["bottleneck", "bottleneck-2"]
    store = stages["bottleneck"].manifest_path().parent.parent
    assert store.name == joined.record(THIRD)["stages"]["bottleneck"]["key"], "that of the other recipe"


def test_the_engine_does_not_change_a_run() -> None:
    local, on_ray = RetrainFlowers(dataset="sample"), RetrainFlowers(dataset="sample", engine="ray", ray_address="auto")
    assert local.parameters() == on_ray.parameters()
    assert local.record_path() == on_ray.record_path()


def test_decoding_and_extraction_ask_the_cluster_only_where_something_is_missing(
    project: Project, small: dict[str, str]
) -> None:
    decode(project, **small)
    on_ray = stages_of(run_of(project, **small, engine="ray", ray_address="127.0.0.1:1"))
    assert on_ray["bottleneck"].context.cluster == on_ray["decode"].context.cluster == Cluster("127.0.0.1:1")
    with pytest.raises(MachineError, match="no Ray cluster can be used"):
        on_ray["bottleneck"].run()
    stages_of(run_of(project, **small))["bottleneck"].run()
    for name in ("decode", "bottleneck"):
        on_ray[name].run()
        assert (on_ray[name].manifest().new, on_ray[name].manifest().reused) == (0, PHOTOS)
    shutil.rmtree(project.root / "decode")
    with pytest.raises(MachineError, match="no Ray cluster can be used"):
        on_ray["decode"].run()
