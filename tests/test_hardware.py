"""The GPUs that a process may use, that stages claim them from Luigi, and the precisions that a processor has."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tasks import hardware
from tasks.backbone.task import PrepareBackbone
from tasks.bottleneck.task import ExtractBottlenecks
from tasks.champion.task import ChooseChampion
from tasks.cluster.addresses import Cluster
from tasks.compare.task import TrainCell
from tasks.decode.task import DecodePhotos
from tasks.evaluate.task import EvaluateHead
from tasks.export.task import ExportModel
from tasks.hardware import claim_gpus, find_gpus, find_hardware
from tasks.predict.task import PredictFolder
from tasks.report.task import WriteReport
from tasks.run_context import RunContext
from tasks.snapshot.task import TakeSnapshot
from tasks.stage import StageTask
from tasks.train.task import FinetuneNetwork, TrainHead
from tests.support.processes import run

UUID, PART = "GPU-8932f937-d72c", "MIG-c7384736-a75d"


CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx512f {}\nbugs\t\t: avx512_bf16_bug\n"


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The device files of a machine with four GPUs of which a container has three."""
    for name in ("null", "nvidia0", "nvidia2", "nvidia10", "nvidiactl", "nvidia-uvm", "nvidia-caps"):
        (tmp_path / name).touch()
    monkeypatch.setattr(hardware, "DEVICES", tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@pytest.mark.usefixtures("devices")
def test_each_device_file_of_a_gpu_is_one() -> None:
    assert find_gpus() == ("0", "2", "10")


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("1", ("2",)),
        ("2, 0", ("10", "0")),
        ("0,0", ("0",)),
        ("1,3,0", ("2",)),
        ("0,-1,1", ("0",)),
        (UUID, (UUID,)),
        (f"{PART},{UUID}", (PART, UUID)),
    ],
)
def test_they_are_narrowed_as_cuda_does(
    devices: Path, monkeypatch: pytest.MonkeyPatch, visible: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_gpus() == found
    monkeypatch.setattr(hardware, "DEVICES", devices / "missing")
    assert find_gpus() == ()


@pytest.mark.usefixtures("devices")
def test_each_is_claimed_by_a_name_that_no_other_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{UUID}")
    assert claim_gpus() == {"gpu 10 of host": 1, f"gpu {UUID} of host": 1}


def claimed(task: type[StageTask], **given: Any) -> dict[str, int]:
    """The resources that a task asks Luigi for, whatever its other parameters are."""
    made = object.__new__(task)
    made.__dict__["context"] = RunContext("data", **given)
    return made.process_resources()


@pytest.mark.usefixtures("devices")
def test_stages_that_compute_with_a_network_claim_all_and_others_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    card = {"gpu 0 of host": 1}
    computing = (PrepareBackbone, ExtractBottlenecks, TrainHead, FinetuneNetwork, EvaluateHead, ExportModel)
    for task in (*computing, ChooseChampion, PredictFolder):
        assert claimed(task) == card, task
    assert claimed(TrainCell) == {"stopwatch": 1, **card}
    for other in (TakeSnapshot, DecodePhotos, WriteReport):
        assert claimed(other) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert claimed(ExtractBottlenecks) == {}


@pytest.mark.usefixtures("devices")
@pytest.mark.parametrize(("address", "each", "count"), [("auto", 1.0, 0), ("", 0.0, 0), ("", 0.5, 3)])
def test_extraction_on_ray_claims_gpus_only_where_ray_is_started_here_for_them(
    address: str, each: float, count: int
) -> None:
    assert len(claimed(ExtractBottlenecks, cluster=Cluster(address, each))) == count


def test_finding_them_loads_nothing_else() -> None:
    script = "import tasks.hardware, sys; print({'tensorflow', 'luigi', 'pyarrow'} & set(sys.modules))"
    assert run([sys.executable, "-c", script]).output == "set()\n"


@pytest.mark.parametrize(
    ("flags", "bfloat16"),
    [("avx512_bf16 avx512_vnni", True), ("amx_bf16", True), ("avx512_vnni", False), (None, False)],
)
def test_bfloat16_is_what_the_processor_s_flags_say_if_the_system_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str | None, bfloat16: bool
) -> None:
    monkeypatch.setattr(hardware, "PROCESSOR", tmp_path / "cpuinfo")
    if flags is not None:
        hardware.PROCESSOR.write_text(CPUINFO.format(flags))
    assert find_hardware().bfloat16 is bfloat16
