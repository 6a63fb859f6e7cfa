"""Plans a comparison: which cells there are, and how the time is shared among them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.backbone.backbones import Backbone
from tasks.compare.settings import ALL, WAYS, CellSettings
from tasks.decode.settings import Encoding
from tasks.train.schedule import NetworkRecipe

#: Up to so many photos a label the draw matters, so that it is repeated with other seeds.
FEW_PHOTOS = 50
#: Seconds that building and tracing a network takes, whatever it is trained on.
START_SECONDS = 12.0
#: From random weights a network needs larger steps than from good ones.
LEARNING_RATES = {"scratch": 0.001, "finetune": 0.0003}
BATCH_SIZE = 32


@dataclass(frozen=True)
class ComparisonPlan:
    """What a comparison trains.

    Args:
        sizes: Numbers of training photos a label; 0 is all.
        seeds: Draws of the photos, for sizes of up to 50.
        epochs: Passes of a whole network over its training photos.
        minutes: What training the whole networks may take in all; 0 is no limit.
    """

    sizes: tuple[int, ...]
    seeds: int
    epochs: int
    minutes: float


def network_recipe(settings: CellSettings) -> NetworkRecipe:
    """How the whole network of a cell is trained."""
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

    The whole networks share the time by the photos that they are to pass; a limit is a whole number of seconds, and
    depends on nothing but the plan and the number of photos, so that a rerun finds its cells again.

    Args:
        plan: What to compare.
        training: Training photos of each label.
        backbone: The network.
        encoding: How its pictures are stored.
    """
    draws = [(size, seed) for size in plan.sizes for seed in range(plan.seeds if 0 < size <= FEW_PHOTOS else 1)]
    limits = _limits(plan, draws, training) if plan.minutes else {}
    return [
        CellSettings(way, size, seed, backbone, encoding, plan.epochs, None if way == "head" else limits.get(size))
        for way in WAYS
        for size, seed in draws
    ]


def _limits(plan: ComparisonPlan, draws: Sequence[tuple[int, int]], training: Sequence[int]) -> dict[int, float]:
    """Seconds of each number of photos a label."""
    recipe = NetworkRecipe("random", plan.epochs, BATCH_SIZE, LEARNING_RATES["scratch"], seed=0)
    steps = {
        size: recipe.steps(sum(count if size == ALL else min(size, count) for count in training)) for size in plan.sizes
    }
    networks = len(LEARNING_RATES)
    total = networks * sum(steps[size] for size, _ in draws)
    shared = max(0.0, plan.minutes * 60 - networks * len(draws) * START_SECONDS)
    return {size: float(round(START_SECONDS + shared * count / total)) for size, count in steps.items()}
