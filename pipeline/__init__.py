"""The tasks that users start: `luigi --module pipeline RetrainFlowers`."""

import sys

from tasks.runtime.install import install

# Before all other modules are imported, so that a signal meanwhile ends the run as at any other time.
if hasattr(sys.modules["__main__"], "luigi_run"):
    install()

from luigi.tools.range import RangeDaily

from pipeline.compare import CompareTraining
from pipeline.retrain import RetrainFlowers
from tasks.predict.task import PredictFolder

__all__ = ["CompareTraining", "PredictFolder", "RangeDaily", "RetrainFlowers"]
