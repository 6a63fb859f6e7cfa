"""The cluster that the parameters name, and whether it is reachable."""

import importlib.util
import socket
from dataclasses import dataclass

from tasks.errors import MachineError, SettingError

#: Engines that decode photos and compute bottlenecks: this machine, or a Ray cluster.
ENGINES = ("local", "ray")
#: Seconds that a cluster may take to accept a connection.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster."""

    address: str = ""  #: Address for Ray, `auto` or `<host>:<port>`; empty starts a Ray on this machine for its work.
    gpus: float = 0  #: GPUs of each actor that can use one.
    cpus: int = 0  #: Processors of a Ray that is started; 0 is all that this process may use.

    def __str__(self) -> str:
        return f"Ray cluster {self.address}" if self.address else "Ray of this machine"


def find_cluster(engine: str, address: str, gpus: float) -> Cluster | None:
    """Find the cluster that the parameters name, without a connection; None if this machine does the work.

    Raises:
        SettingError: Parameters of a cluster are given without one, the address is invalid, or Ray is not installed.
    """
    if engine != "ray":
        if address or gpus:
            raise SettingError(
                "--ray-address and --gpus-per-actor go with --engine ray. Give that too, or leave them out."
            )
        return None
    if importlib.util.find_spec("ray") is None:
        raise SettingError(
            "--engine ray needs a library that is not installed (ray). "
            "Run in this project's folder: pip install -e '.[ray]'"
        )
    host, _, port = address.rpartition(":")
    # Ray's client, of ray:// addresses, cannot drive Ray Data.
    if address not in ("", "auto") and (not host or "/" in host or not port.isdecimal()):
        raise SettingError(
            f"--ray-address is {address!r}; on a node of a cluster it takes auto or the head's <host>:<port>. Without "
            "it, Ray is started on this machine."
        )
    return Cluster(address, gpus)


def check_reachable(cluster: Cluster) -> None:
    """Check that something listens at the address of a cluster: Ray itself takes half a minute to notice.

    Raises:
        MachineError: Nothing listens.
    """
    if cluster.address in ("", "auto"):
        return
    host, _, port = cluster.address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as exc:
        raise unreachable(cluster, str(exc)) from exc


def unreachable(cluster: Cluster, why: str) -> MachineError:
    """Make the error for a cluster that does not answer."""
    if not cluster.address:
        return MachineError(
            f"Ray does not start on this machine ({last_line(why)}). Run again, or with --engine local."
        )
    return MachineError(
        f"At {cluster.address} no Ray cluster can be used ({last_line(why)}). Start one with ray start, or correct "
        "--ray-address, and run again."
    )


def last_line(text: str) -> str:
    """Last line of Ray's output, which names the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "it does not say why")[:300]
