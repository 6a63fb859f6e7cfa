"""What a person runs: `luigi --module pipeline RetrainFlowers`."""

from luigi.tools.range import RangeDaily

from pipeline.compare import CompareTraining
from pipeline.predict import PredictFolder
from pipeline.retrain import RetrainFlowers

__all__ = ["CompareTraining", "PredictFolder", "RangeDaily", "RetrainFlowers"]
