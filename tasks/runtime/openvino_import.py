"""OpenVINO, imported so that it sends nothing and writes nothing into the home folder.

Import `ov` from here, the only module that imports the package, and this module only where a network is to be run.
OpenVINO sends an event when it is imported and with each conversion, and keeps an identity in `~/intel`, by the package
openvino_telemetry, which pip installs with it. Where that package is missing, a stub of OpenVINO's own does nothing.
"""

import sys

# An import of a name that stands for None fails as if there were no such package.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402 (below what its import must find)

__all__ = ["ov"]
