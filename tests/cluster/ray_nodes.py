"""Real Ray clusters for tests: each of its nodes is a raylet of its own on this machine."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster


@contextlib.contextmanager
def nodes(*cpus: int) -> Iterator[Cluster]:
    """Run a cluster whose nodes have these numbers of processors, the head first."""
    # Sockets lie there, whose paths must be short.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Ray notes the newest cluster of this machine there; other tests have their own.
        patch.setenv("RAY_TMPDIR", folder)
        Path(folder, "ray").mkdir()
        # Each second instead of each third, so that a lost node is noticed sooner.
        config = {"health_check_period_ms": 1000}
        # No log reader, and no scaling: there are no more machines.
        lean = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
        head = {"num_cpus": cpus[0], **lean, "temp_dir": folder, "_system_config": config}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for of_node in cpus[1:]:
                cluster.add_node(num_cpus=of_node)
            yield cluster
        finally:
            cluster.shutdown()
