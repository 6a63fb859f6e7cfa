"""What a person runs: `luigi --module pipeline RetrainFlowers`."""

from luigi.tools.range import RangeDaily

from pipeline.retrain import RetrainFlowers

__all__ = ["RangeDaily", "RetrainFlowers"]
