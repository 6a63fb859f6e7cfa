"""Plans a comparison: its cells, and the time limit of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.backbone.backbones import Backbone
from tasks.compare.settings import ALL, WAYS, CellSettings
from tasks.decode.settings import Encoding
from tasks.train.schedule import NetworkRecipe

#: Most photos a label for which the draw matters, so that it is repeated with other seeds.
FEW_PHOTOS = 50
#: Seconds to build and trace a network.
START_SECONDS = 12.0
#: From random weights a network needs larger steps than from good ones.
LEARNING_RATES = {"scratch": 0.001, "finetune": 0.0003}
BATCH_SIZE = 32


@dataclass(frozen=True)
class ComparisonPlan:
    """Parameters of a comparison."""

    sizes: tuple[int, ...]  #: Numbers of training photos a label; 0 is all.
    seeds: int  #: Number of draws of the photos, for sizes of up to 50.
    epochs: int  #: Passes of a whole network over its training photos.
    minutes: float  #: Most minutes for training all whole networks; 0 is no limit.


def network_recipe(settings: CellSettings) -> NetworkRecipe:
    """Recipe of the whole network of a cell."""
    return NetworkRecipe(
        start="pretrained" if settings.way == "finetune" else "random",
        epochs=settings.epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATES[settings.way],
        seed=settings.seed,
        seconds=settings.seconds,
    )


def plan_cells(
    plan: ComparisonPlan, training: Sequence[int], backbone: Backbone, encoding: Encoding
) -> list[CellSettings]:
    """List the cells of a comparison: heads, networks from random weights, networks from pretrained ones.

    The whole networks share the time in proportion to their planned steps. A limit is a whole number of seconds, and
    depends only on the plan and `training`, the numbers of training photos by label, so that a rerun finds its cells
    again.
    """
    draws = [(size, seed) for size in plan.sizes for seed in range(plan.seeds if 0 < size <= FEW_PHOTOS else 1)]
    limits = _limits(plan, draws, training) if plan.minutes else {}
    return [
        CellSettings(way, size, seed, backbone, encoding, plan.epochs, None if way == "head" else limits.get(size))
        for way in WAYS
        for size, seed in draws
    ]


def _limits(plan: ComparisonPlan, draws: Sequence[tuple[int, int]], training: Sequence[int]) -> dict[int, float]:
    """Return the time limit in seconds, by number of photos a label."""
    recipe = NetworkRecipe("random", plan.epochs, BATCH_SIZE, LEARNING_RATES["scratch"], seed=0)
    steps = {
        size: recipe.steps(sum(count if size == ALL else min(size, count) for count in training)) for size in plan.sizes
    }
    networks = len(LEARNING_RATES)
    total = networks * sum(steps[size] for size, _ in draws)
    shared = max(0.0, plan.minutes * 60 - networks * len(draws) * START_SECONDS)
    return {size: float(round(START_SECONDS + shared * count / total)) for size, count in steps.items()}
