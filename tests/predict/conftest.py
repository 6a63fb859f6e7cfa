"""Models that every test of predicting may ask; nobody changes them."""

import pytest

from tasks.predict.models import read_model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress
from tests.predict.trained import Trained, Way, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A head on bottlenecks in float32, and its photos."""
    return train(tmp_path_factory.mktemp("head"), Way("float32"))


@pytest.fixture(scope="session")
def predictor(trained: Trained) -> Predictor:
    """That head, ready to predict."""
    return Predictor(read_model(trained.folder), NullProgress())
