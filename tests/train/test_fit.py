"""Fitting: each recipe trains its own kind of head."""

from tasks.progress import Silence
from tasks.train.examples import Watch
from tasks.train.fit import fit_head
from tasks.train.settings import TrainSettings
from tests.train.examples import ADAM, CLASSIC, classic, draw_examples, settings

LABELS = ("daisy", "roses", "tulips")


def fit(how: TrainSettings) -> tuple[bool, int]:
    """Whether the head standardises, and how many strengths of weight decay there were to choose from."""
    examples = draw_examples((20, 20, 20))
    head, choices = fit_head(examples, examples, how, LABELS, Watch(Silence()))
    return head.standardisation is not None, len(choices)


def test_adam_chooses_from_strengths_on_standardised_bottlenecks() -> None:
    assert isinstance(settings().recipe, type(ADAM))
    assert fit(settings()) == (True, len(ADAM.l2))


def test_classic_takes_bottlenecks_as_they_are_and_has_one_head() -> None:
    assert isinstance(classic().recipe, type(CLASSIC))
    assert fit(classic()) == (False, 1)
