"""What a new model and the champion hit on the same photos: the test split of the new model's snapshot."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import (
    ChampionInputs,
    OutdatedChampionError,
    needing,
    open_champion,
    predict_with_champion,
)
from tasks.champion.mcnemar import Hits
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.parquet import read_parquet
from tasks.storage.errors import DamagedError

_LEARNT_FROM = pa.array(["train", "validation"])


class Paired(NamedTuple):
    """What both models hit.

    Args:
        new: Whether the new model is right: bool [N].
        champion: Whether the champion is, on the same photos: bool [N].
        asked: How many of the N the champion was asked of now.
        left_out: Photos of the test split that are not among the N: the champion learnt from them, has no picture, or
            cannot be asked of them.
    """

    new: Hits
    champion: Hits
    asked: int
    left_out: int


def read_predictions(evaluation: AnyPath) -> pa.Table:
    """Read what a model says of all photos of its snapshot, without the probabilities.

    Args:
        evaluation: Folder of its evaluation.

    Returns:
        A table with the columns `sha256`, `path`, `label`, `predicted` and `split`, sorted by the first.

    Raises:
        DamagedError: It is missing or damaged.
    """
    path = evaluation / "predictions.parquet"
    try:
        columns = ["sha256", "path", "label", "predicted", "split"]
        table = read_parquet(path, columns)
    except (pa.ArrowException, OSError) as exc:
        sentences = f"The predictions {path} cannot be read ({exc}). Delete their folder and run again."
        raise DamagedError(path, sentences) from exc
    return table.combine_chunks()


def pair_hits(evaluation: str, champion: Champion, source: ChampionInputs, progress: Progress) -> Paired:
    """Look what the new model and the champion hit on the test split of the new model's snapshot.

    Photos that the champion was trained on, or was chosen on, are left out. What it said of a photo that it was tested
    on is recalled; of the others it is asked, unless it is of an earlier version. A label that it does not know it
    never hits.

    Args:
        evaluation: Key of the new model's evaluation.
        champion: The champion.
        source: Where everything is.
        progress: Told of photos of which the champion needs pictures.

    Raises:
        ChampionGoneError: Something of the champion is gone or damaged.
        StoreError: A store, or what the new model says, is damaged.
    """
    new = read_predictions(source.root.evaluate(evaluation))
    test = new.filter(pc.equal(new["split"], "test"))
    with needing("what it said of its photos"):
        before = read_predictions(source.root.evaluate(champion.evaluation))
    there = pc.index_in(test["sha256"], value_set=before["sha256"].combine_chunks())
    fair = pc.invert(pc.is_in(before["split"].take(there), value_set=_LEARNT_FROM))
    compared, recalled = test.filter(fair), before["predicted"].take(there).filter(fair)
    answers = _ask(champion, compared.filter(pc.is_null(recalled)), compared.num_rows, source, progress)
    said = pc.coalesce(recalled, pa.array([answers.get(key) for key in compared["sha256"].to_pylist()], pa.string()))
    # A model of an earlier version of this project says labels as their folders' names were written.
    said = pc.utf8_normalize(said, form="NFC")
    known = pc.is_valid(said)
    compared, said = compared.filter(known), said.filter(known)
    return Paired(
        new=pc.equal(compared["predicted"], compared["label"]).to_numpy(),
        champion=pc.equal(said, compared["label"]).to_numpy(),
        asked=len(answers),
        left_out=test.num_rows - compared.num_rows,
    )


def _ask(
    champion: Champion, unknown: pa.Table, compared: int, source: ChampionInputs, progress: Progress
) -> dict[str, str]:
    """Ask a champion of photos that it was not tested on: the label by sha256.

    One of an earlier version cannot be asked: then the others decide, where there are any among those compared.
    """
    try:
        asked = open_champion(champion.model, source)
    except OutdatedChampionError:
        if unknown.num_rows == compared > 0:
            raise
        if unknown.num_rows:
            progress.tell(
                f"An earlier version of this project trained the champion {champion.model}: it cannot be asked of "
                f"{unknown.num_rows:,} new test photos, and is compared on the others."
            )
        return {}
    return predict_with_champion(asked, unknown, source, progress)
