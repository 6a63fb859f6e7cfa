"""Imports OpenVINO without its telemetry.

Import `ov`, `ops` and `passes` from here, the only module that imports the package, and import this module only where
a network runs or is built. OpenVINO sends an event on import and on each conversion, and stores an identity in
`~/intel`, by the package openvino_telemetry. This module hides that package from `sys.modules`; OpenVINO then uses a
stub that does nothing.
"""

import sys

# Python raises ModuleNotFoundError for a module that is None here.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402 (after its telemetry is hidden)
from openvino import opset15 as ops  # noqa: E402 (as above)
from openvino import passes  # noqa: E402

__all__ = ["ops", "ov", "passes"]
