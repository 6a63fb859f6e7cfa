"""Predictions of a new model and of the champion for the same photos: the test split of the new model's snapshot."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tasks.champion.champion_file import Champion
from tasks.champion.champion_predictions import (
    ChampionInputs,
    OutdatedChampionError,
    champion_intact,
    open_champion,
    predict_with_champion,
)
from tasks.champion.mcnemar import Hits, Labels
from tasks.evaluate.predictions import read_predictions
from tasks.paths import AnyPath
from tasks.progress import Progress

_TRAINED_ON = pa.array(["train", "validation"])


class PairedResults(NamedTuple):
    """Results of both models on N photos."""

    new: Hits  #: Hits of the new model: bool [N].
    champion: Hits  #: Hits of the champion on the same photos: bool [N].
    labels: Labels  #: Labels of the photos: str [N].
    predicted: int  #: Number of the N that the champion predicted for this comparison.
    #: Photos of the test split that are not among the N: the champion was trained on them, has no picture of them, or
    #: cannot predict them.
    left_out: int


def pair_results(evaluation: str, champion: Champion, inputs: ChampionInputs, progress: Progress) -> PairedResults:
    """Pair the results of a new model, given the key of its evaluation, and the champion on the model's test split.

    Photos of the champion's train or validation split are left out. Its predictions of photos of its test split are
    recalled; it predicts the others now, unless it is of an earlier version. It never hits a label that it does not
    know.

    Raises:
        ChampionGoneError: A part of the champion is missing or damaged.
        StoreError: A store or the predictions of the new model are damaged.
    """
    new = _read(inputs.root.evaluate(evaluation))
    test = new.filter(pc.equal(new["split"], "test"))
    with champion_intact("the file of its predictions"):
        old = _read(inputs.root.evaluate(champion.evaluation))
    rows = pc.index_in(test["sha256"], value_set=old["sha256"].combine_chunks())
    unseen = pc.invert(pc.is_in(old["split"].take(rows), value_set=_TRAINED_ON))
    compared, recalled = test.filter(unseen), old["predicted"].take(rows).filter(unseen)
    predicted = _predict(champion, compared.filter(pc.is_null(recalled)), compared.num_rows, inputs, progress)
    now = pa.array([predicted.get(key) for key in compared["sha256"].to_pylist()], pa.string())
    # A model of an earlier version of this project has labels as their folders' names were written.
    labels = pc.utf8_normalize(pc.coalesce(recalled, now), form="NFC")
    known = pc.is_valid(labels)
    compared, labels = compared.filter(known), labels.filter(known)
    return PairedResults(
        new=pc.equal(compared["predicted"], compared["label"]).to_numpy(),
        champion=pc.equal(labels, compared["label"]).to_numpy(),
        labels=compared["label"].to_numpy(),
        predicted=len(predicted),
        left_out=test.num_rows - compared.num_rows,
    )


def _read(evaluation: AnyPath) -> pa.Table:
    return read_predictions(evaluation, ["sha256", "path", "label", "predicted", "split"]).combine_chunks()


def _predict(
    champion: Champion, photos: pa.Table, compared: int, inputs: ChampionInputs, progress: Progress
) -> dict[str, str]:
    """Predict labels by sha256; none if an earlier version trained the champion and other photos can be compared."""
    try:
        model = open_champion(champion.model, inputs)
    except OutdatedChampionError:
        if photos.num_rows == compared > 0:
            raise
        if photos.num_rows:
            progress.tell(
                f"An earlier version of this project trained the champion {champion.model}, so that it cannot predict "
                f"{photos.num_rows:,} new test photos. It is compared on the others."
            )
        return {}
    return predict_with_champion(model, photos, inputs, progress)
