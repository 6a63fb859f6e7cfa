"""The tasks that users start: `luigi --module pipeline RetrainFlowers`."""

import sys

from tasks.runtime.install import install

# Before all other modules are imported, so that a signal meanwhile ends the run as at any other time.
if hasattr(sys.modules["__main__"], "luigi_run"):
    install()

from luigi.tools.range import RangeDaily

from pipeline.compare import CompareTraining
from pipeline.notify import send_notifications
from pipeline.retrain import RetrainFlowers
from tasks.predict.task import PredictFolder
from tasks.runtime.run_end import on_end

on_end(send_notifications)

__all__ = ["CompareTraining", "PredictFolder", "RangeDaily", "RetrainFlowers"]
