"""A file that takes too much, or crashes the library that reads it, is an error, and this process goes on."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tasks.backbone.backbones import Backbone
from tasks.backbone.onnx_trial import _measure, _read_input, _run_limited, _try, try_input, try_widths
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.decode import worker_process
from tasks.decode.worker_process import WorkerCrashError, WorkerProcess
from tasks.errors import BackboneError, SettingError
from tests.backbone.onnx_models import NODES, SIZE, WEIGHTS, small

MINE = Backbone("mine", "onnx_file", "", "", SIZE, ("",), (0,), "unit")
#: Mutated files.
MUTATIONS = 1000
#: Bytes before those of the weights.
STRUCTURE = 300


def test_results_and_errors_of_the_process_are_this_one_s(tmp_path: Path) -> None:
    path = small(tmp_path / "mine.onnx", outputs=("features", "map"))
    assert try_input(path) == (SIZE, "")
    with pytest.raises(SettingError, match="has several outputs"):
        try_widths(MINE, path)
    path.write_bytes(b"text")
    with pytest.raises(BackboneError, match="is no ONNX file"):
        try_input(path)


def large_zero(path: Path, *factors: int) -> Path:
    """A network that computes the shape of a tensor from constants, so that its size is in none of them."""
    weights: dict[str, Any] = {f"factor{place}": np.array([factor]) for place, factor in enumerate(factors)}
    nodes, size = list(NODES), "factor0"
    for place in range(1, len(factors)):
        nodes.append(helper.make_node("Mul", [size, f"factor{place}"], [f"size{place}"]))
        size = f"size{place}"
    nodes += [
        helper.make_node("ConstantOfShape", [size], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["largest"], keepdims=1),
        helper.make_node("Add", ["features", "largest"], ["sum"]),
    ]
    return small(path, nodes=nodes, weights={**WEIGHTS, **weights}, outputs=("sum",))


def test_network_that_takes_all_memory_is_refused(tmp_path: Path) -> None:
    assert try_widths(MINE, large_zero(tmp_path / "small.onnx", 10, 10)) == (6,)
    path = large_zero(tmp_path / "large.onnx", 10**4, 10**4, 10**4)
    with pytest.raises(BackboneError, match=rf"{path} takes more than .* GB of memory, half of this machine's"):
        try_widths(MINE, path)


def test_process_that_crashes_or_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small(tmp_path / "mine.onnx")
    for end, message in ((crash, r"crashes \(signal 11\)"), (leave, "ends the process")):
        with pytest.raises(BackboneError, match=rf"{path} {message} when it is loaded\. It is damaged, or too large"):
            _try(end, path)
    monkeypatch.setattr(worker_process, "RESULT_TIMEOUT", 0)
    with pytest.raises(BackboneError, match=rf"{path} does not end"):
        _try(sleep, path)


def crash(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(_: Path) -> None:
    os._exit(3)


def sleep(_: Path) -> None:
    time.sleep(600)


def mutate(data: bytes, seed: int) -> bytes:
    """Flip bits, cut the end off, repeat a piece elsewhere, or overwrite a byte of the structure, which comes first."""
    drawn, changed = np.random.default_rng(seed), bytearray(data)
    place, other, byte = (int(number) for number in drawn.integers(len(data), size=3))
    match seed % 4:
        case 0:
            for bit in drawn.integers(8 * len(data), size=drawn.integers(1, 5)):
                changed[bit // 8] ^= 1 << (bit % 8)
        case 1:
            del changed[place:]
        case 2:
            changed[other:other] = data[place : place + byte % 40]
        case 3:
            changed[place % STRUCTURE] = byte % 256
    return bytes(changed)


def outcome(path: Path) -> str:
    """Read and run a file in a process; returns `ok`, or the error that a user gets. Any other exception is raised."""
    try:
        _run_limited(_read_input, path)
        _run_limited(partial(_measure, MINE), path)
    except (BackboneError, SettingError) as exc:
        return str(exc)
    return "ok"


@pytest.mark.slow
def test_mutated_file_is_an_error_or_a_network_and_nothing_else(tmp_path: Path) -> None:
    """OpenVINO crashes on some of them: then the process ends, and a new one goes on."""
    good = small(tmp_path / "good.onnx").read_bytes()
    path = tmp_path / "mine.onnx"
    process: WorkerProcess[Path, str] | None = None
    results: list[str] = []
    for seed in range(MUTATIONS):
        path.write_bytes(mutate(good, seed))
        process = process or WorkerProcess(outcome)
        try:
            results += process.map([path])
        except WorkerCrashError:
            results.append(f"{path} crashes")
            process = None
            with pytest.raises(BackboneError, match="when it is loaded"):
                prepare_own(BackboneRequest(str(path), scaling="unit"), path)
    if process:
        process.close()
    assert len(results) == MUTATIONS
    assert 0 < results.count("ok") < MUTATIONS / 2
    assert all(str(path) in result for result in results if result != "ok")
