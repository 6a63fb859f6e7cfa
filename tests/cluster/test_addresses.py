"""The cluster that the parameters name."""

import sys

import pytest

from tasks.cluster.addresses import Cluster, find_cluster
from tasks.errors import SettingError


@pytest.mark.parametrize("address", ["", "auto", "head:6379", "[::1]:6379"])
def test_a_cluster_is_found_without_a_connection(address: str) -> None:
    assert find_cluster("ray", address, 0.5) == Cluster(address, 0.5)


def test_this_machine_needs_no_cluster() -> None:
    assert find_cluster("local", "", 0) is None


@pytest.mark.parametrize(("address", "gpus"), [("auto", 0.0), ("", 0.5)])
def test_parameters_of_a_cluster_need_one(address: str, gpus: float) -> None:
    with pytest.raises(SettingError, match="go with --engine ray"):
        find_cluster("local", address, gpus)


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "127.0.0.1:port", ":6379", "ray://127.0.0.1:10001"])
def test_an_invalid_address_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match=r"--ray-address is .*; on a node of a cluster it takes auto or the head's"):
        find_cluster("ray", address, 0)


def test_without_ray_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingError, match=r"pip install -e '\.\[ray\]'"):
        find_cluster("ray", "", 0)
