"""An environment that names no proxy and no certificates, whatever that of the developer's machine names."""

import os

import pytest


def forget_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away all variables that say how the network is reached."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
            monkeypatch.delenv(name)
