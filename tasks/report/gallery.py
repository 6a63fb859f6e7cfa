"""The photos that a report shows, with their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.errors import StoreError
from tasks.report.duplicates import Repetitions
from tasks.report.pictures import decode_pictures, read_pictures
from tasks.report.predictions import Predicted
from tasks.report.reported_run import ReportedRun
from tasks.report.selection import PhotoSelection
from tasks.report.view_model import Guess, ShownPhoto
from tasks.storage.layout import DataRoot


@dataclass(frozen=True, eq=False)
class Gallery:
    """Photos, what is said of them, and the pictures of those that are shown.

    Args:
        predicted: All photos.
        choice: Those that are shown.
        pictures: Pictures by key: of these, and of photos that lie at several paths.
    """

    predicted: Predicted
    choice: PhotoSelection
    pictures: Mapping[str, bytes]

    def show(self, places: Sequence[int]) -> list[ShownPhoto]:
        """Show photos by their places."""
        photos = self.predicted.photos
        return [
            ShownPhoto(photos.paths[place], photos.labels[photos.truth[place]], self.pictures[photos.sha256[place]])
            for place in places
        ]

    def show_guesses(self, places: Sequence[int]) -> list[Guess]:
        """Show photos by their places, each with the two likeliest labels."""
        labels, probabilities = self.predicted.photos.labels, self.predicted.probabilities
        guesses = []
        for place, picture in zip(places, self.show(places), strict=True):
            # Of equal ones the first is what counts as predicted.
            first, second = np.argsort(-probabilities[place], kind="stable")[:2]
            shares = probabilities[place, [first, second]].tolist()
            guesses.append(Guess(picture, labels[first], shares[0], labels[second], shares[1]))
        return guesses


def fill_gallery(
    predicted: Predicted, choice: PhotoSelection, repetitions: Repetitions, occasion: ReportedRun, root: DataRoot
) -> Gallery:
    """Read the pictures of all that is shown.

    Photos that are in conflict are in no store: their pictures are made of their files.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
    """
    # Of several ways to decode, as the first backbone sees photos.
    decode = occasion.settings.train.decodes[0]
    wanted = {predicted.photos.sha256[place] for place in choice.all()}
    repeated = {group.sha256: group.places[0].path for group in repetitions.shown()}
    pictures = read_pictures({*wanted, *repeated}, decode, root)
    if lost := len(wanted - pictures.keys()):
        raise StoreError(
            f"The store {root.decode(decode.key)} has lost {lost:,} of {len(wanted):,} pictures for the report. "
            "Delete its folder manifests; the next run makes again what is missing."
        )
    lacking = {key: path for key, path in repeated.items() if key not in pictures}
    made = decode_pictures(lacking, occasion.folder, decode)
    return Gallery(predicted, choice, {**pictures, **made})
