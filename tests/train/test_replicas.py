"""Several devices train what one device does, but for rounding; a processor cut into two stands for two GPUs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.progress import NullProgress
from tasks.train.examples import TrainingContext
from tasks.train.network import read_network
from tests.train import several
from tests.train.tiny import tiny


class Steps(NullProgress):
    """Notes every count that it is told."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def advance(self, count: int) -> None:
        """Note it."""
        self.counts.append(count)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two devices have trained."""
    folder = tmp_path_factory.mktemp("several")
    done = subprocess.run(
        [sys.executable, "-m", several.__name__, str(folder)],
        cwd=Path(__file__).parent.parent.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 copies"
    return folder


@pytest.mark.parametrize("start", several.NETWORKS)
def test_a_whole_network_learns_on_several_devices_and_is_kept_as_any_other(start: str, folder: Path) -> None:
    together = read_network(folder / start, tiny(folder))
    alone = several.train_tiny(folder, several.NETWORKS[start])
    assert together.facts == alone.facts
    for weights, others in zip(together.model.get_weights(), alone.model.get_weights(), strict=True):
        if start == "pretrained":
            np.testing.assert_allclose(weights, others, atol=2e-3)
        else:
            # Batch-norms measure each share by itself.
            assert np.isfinite(weights).all()
    kernel = together.model.get_layer("labels").get_weights()[0]
    assert np.abs(kernel).max() > 0.01


def test_a_training_that_several_devices_began_is_gone_on_with_by_one(folder: Path) -> None:
    watch = TrainingContext(told := Steps(), folder / "checkpoints")
    resumed = several.train_tiny(folder, several.PRETRAINED, watch)
    whole = several.train_tiny(folder, several.PRETRAINED)
    assert 0 < told.counts[0] <= several.BREAK_OFF
    for weights, others in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(weights, others, atol=2e-3)
