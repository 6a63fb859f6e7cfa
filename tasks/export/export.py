"""Exports a model: fills its template with the numbers of the head, and tests the files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from tasks.bottleneck.precision import Precision
from tasks.bottleneck.views import Pixels
from tasks.decode.images import MAX_PIXELS
from tasks.export.card import write_card, write_labels
from tasks.export.decoding_test import DecodingTest, publish_test, read_last_test
from tasks.export.formats import CARD, FORMATS, LABELS, METRICS, Export, ExportFormat
from tasks.export.parity import compare, find_refusal
from tasks.export.photos import (
    Convert,
    ReferencePhotos,
    StoredPictures,
    choose_sample,
    convert_to_png,
    read_files,
    read_reference,
)
from tasks.export.precision_vectors import PrecisionPredictor
from tasks.export.runners import run_pixels
from tasks.export.template import Template, open_template
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.storage.files import publish_json, publishing
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
from tasks.storage.tempfiles import scratch_folder
from tasks.train.head import Floats
from tasks.train.settings import TrainSettings

#: Photos that a file which takes pixels predicts in each test. That it has the numbers of the head is checked exactly,
#: and the pipeline predicts all test photos in the precision of the file.
SAMPLE = 24


@dataclass(frozen=True)
class ExportInputs:
    """The photos that an export is tested on."""

    evaluation: AnyPath  #: Folder of the model's evaluation.
    photos: AnyPath  #: The folder that the snapshot's paths are relative to.
    root: DataRoot  #: The data root.
    max_pixels: int = MAX_PIXELS  #: Pixels that a photo may have.


def export_model(model: Model, inputs: ExportInputs, progress: Progress) -> Export:
    """Write a model in every format, test the files, and publish the model card, the labels and the figures.

    The files themselves are written where they are wanted; see `tasks.export.files`. If they disagree with the model,
    only the figures are published.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The model, its evaluation, the decoded store, or the template is damaged.
    """
    root, path = inputs.root, inputs.root.export(model.key)
    template = open_template(model, root, progress)
    with scratch_folder("export") as folder:
        head = template.load_head(model.folder)
        template.write_files(head, folder)
        export = _Test(model, inputs, template, folder, progress).run()
    export = replace(export, novelty=None if head is None else head.facts.get("novelty"))
    if export.refused:
        remove(path, root)
    else:
        with publishing(path / LABELS) as file:
            write_labels(model.labels, file)
        with publishing(path / CARD) as file:
            write_card(model, export, inputs.evaluation, root, file)
    publish_json(path / METRICS, export.metrics())
    return export


@dataclass(frozen=True)
class _Test:
    """Tests the files of an export on test photos."""

    model: Model
    inputs: ExportInputs
    template: Template
    folder: Path  #: The folder with the files.
    progress: Progress

    def run(self) -> Export:
        """Test each format."""
        decoding = self._test_decoding()
        written = [each for each in FORMATS if each.name not in self.template.lacking]
        expected = {each: self._reference_in(each.precision) for each in written if not each.decodes}
        common = set(self._reference.keys).intersection(*(each.keys for each in expected.values()))
        sample = choose_sample(self._reference.select(common), SAMPLE)
        pixels = [self._pictures.read(sample.keys, decode) for decode in self.model.decodes]
        figures: dict[str, Mapping[str, Any]] = {}
        for each in written:
            if each.decodes:
                figures[each.name] = decoding.figures[each.name]
                continue
            photos = expected[each]
            own = compare(photos.find(sample.keys), self._run(each, pixels))
            with_model = compare(self._reference.find(photos.keys), photos.probabilities)
            figures[each.name] = {**with_model, "in_its_precision": own}
        refused = find_refusal(figures, self._precision)
        return Export(
            formats=figures,
            left_out=decoding.left_out,
            converted=decoding.converted,
            lacking=self.template.lacking,
            refused=refused,
            tested_with=decoding.model,
            template=str(self.template.place).removeprefix(f"{self.inputs.root.path}/"),
        )

    def _run(self, format_: ExportFormat, pixels: Sequence[Pixels]) -> Floats:
        return run_pixels(format_, self.folder, pixels, len(self.model.labels)).probabilities

    def _test_decoding(self) -> DecodingTest:
        """Test the formats that decode photos, if the last test does not hold for the photos of this run."""
        place, folder = self.template.place, self.inputs.photos
        formats = [each for each in FORMATS if each.decodes and each.name not in self.template.lacking]
        if not formats:
            return DecodingTest(self.model.key, {}, {}, {}, {}, 0)
        last = read_last_test(place, self._reference, folder)
        if last is not None:
            return last
        with self.progress.preparing("imports"):
            from tasks.export.tensorflow_runners import run_decoding

        files = read_files(self._reference, folder, self._converter())
        read, predicted = run_decoding(formats, self.folder, files.files, len(self.model.labels), self.progress)
        photos, expected = files.photos.take(read), self._reference_in("float32")
        figures = {}
        for name, probabilities in predicted.items():
            own = replace(photos, probabilities=probabilities).select(set(expected.keys))
            in_precision = compare(expected.find(own.keys), own.probabilities)
            figures[name] = {**compare(photos, probabilities), "in_its_precision": in_precision}
        left_out = dict(files.left_out)
        if unreadable := len(files.files) - len(read):
            left_out["unreadable for TensorFlow"] = unreadable
        test = DecodingTest(self.model.key, files.kinds, {}, figures, left_out, files.converted)
        if read and not find_refusal(figures, self._precision):
            publish_test(place, test)
        return test

    def _converter(self) -> Convert | None:
        """The conversion of photos that are neither JPEG nor PNG; None for a model of several crops.

        It keeps the part of a photo that one crop needs, in twice its largest size.
        """
        decodes = self.model.decodes
        if len({decode.crop for decode in decodes}) > 1:
            return None
        largest = max(decodes, key=lambda decode: max(decode.size, decode.resize))
        return partial(convert_to_png, folder=self.inputs.photos, decode=largest, max_pixels=self.inputs.max_pixels)

    @cached_property
    def _reference(self) -> ReferencePhotos:
        return read_reference(self.inputs.evaluation, self.model.labels)

    @cached_property
    def _pictures(self) -> StoredPictures:
        return StoredPictures(self.inputs.root, self.model.decodes)

    @property
    def _precision(self) -> str:
        settings = self.model.settings
        return settings.bottlenecks[0].precision if isinstance(settings, TrainSettings) else "float32"

    def _reference_in(self, precision: str) -> ReferencePhotos:
        """Test photos with the pipeline's predictions in a precision."""
        if precision == self._precision:
            return self._reference
        if precision not in self._computed:
            keys, probabilities = self._predict_in(precision)
            self._computed[precision] = replace(self._reference.find(keys), probabilities=probabilities)
        return self._computed[precision]

    @cached_property
    def _computed(self) -> dict[str, ReferencePhotos]:
        return {}

    def _predict_in(self, precision: str) -> tuple[Sequence[str], Floats]:
        keys = self._reference.keys
        if isinstance(self.model.settings, TrainSettings):
            predictor = PrecisionPredictor(cast("Precision", precision), self.model, self._pictures, self.progress)
            return predictor.predict(keys)
        from tasks.export.tensorflow_runners import predict_in_int8

        return keys, predict_in_int8(self.model, self._pictures.read(keys, self.model.decodes[0]))
