"""The parameters of a model, and the settings of all stages that follow from them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

import luigi

from pipeline.base_task import BaseTask
from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds import check_trainable
from tasks.bottleneck.precision import AUTO, PRECISIONS, check_gpus, resolve_precision
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.decode.settings import Crop
from tasks.errors import SettingError
from tasks.evaluate.settings import EvaluateSettings
from tasks.hardware import find_hardware
from tasks.parameters import ChoiceParameter, NumberParameter, NumbersParameter
from tasks.train.settings import ClassicRecipe, FinetuneSettings, LdaRecipe, TrainSettings


class ModelTask(BaseTask):
    """A task that trains a model, with the parameters of its bottlenecks, its training and its evaluation."""

    views: ChoiceParameter = ChoiceParameter(
        "1",
        "2",
        "4",
        default="2",
        description="Views of a photo: 1 is the plain photo, 2 adds its mirror image, 4 adds both views of the other "
        "crop (the whole photo squeezed into a square, if the backbone's crop is the centre).",
    )
    precision: ChoiceParameter = ChoiceParameter(
        AUTO,
        *PRECISIONS,
        default=AUTO,
        description="Precision in which bottlenecks are computed. auto is bfloat16 if the hardware supports it, "
        "otherwise float32, or int8 for the last layer alone of EfficientNet-Lite.",
    )
    flip_left_right: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Also train on distorted views, half of them mirrored."
    )
    random_crop: NumberParameter[int] = NumberParameter(
        int, 0, 100, default=0, description="Also train on distorted views, cropped by a margin of up to this per cent."
    )
    random_scale: NumberParameter[int] = NumberParameter(
        int, 0, 400, default=0, description="Also train on distorted views, enlarged by up to this per cent."
    )
    random_brightness: NumberParameter[int] = NumberParameter(
        int, 0, 100, default=0, description="Also train on distorted views, brighter or darker by up to this per cent."
    )
    distorted_views: NumberParameter[int] = NumberParameter(
        int, 1, 100, default=8, description="Number of distorted views of a photo, if any distortion is given."
    )

    train: ChoiceParameter = ChoiceParameter(
        "head", "finetune", default="head", description="Train a head on bottlenecks, or fine-tune the whole network."
    )
    recipe: ChoiceParameter = ChoiceParameter(
        "lda",
        "classic",
        default="lda",
        description="Training of a head: lda is linear discriminant analysis in closed form, classic is the loop of "
        "retrain.py on the last layer.",
    )
    shrinkage: NumbersParameter = NumbersParameter(
        1e-6,
        default=LdaRecipe.shrinkage,
        description="With lda: shrinkages of the covariance to choose from by leaving single photos out.",
    )
    layer_weights: NumbersParameter = NumbersParameter(
        0,
        1,
        default=LdaRecipe.layer_weights,
        description="With lda: weights of the layers before the last one to choose from likewise; 0 leaves them out.",
    )
    epochs: NumberParameter[int] = NumberParameter(
        int, 0, default=0, description="With finetune: passes over the training photos, more if they are few; 0 is 5."
    )
    steps: NumberParameter[int] = NumberParameter(
        int, 1, default=4000, description="With classic: steps of gradient descent."
    )
    batch_size: NumberParameter[int] = NumberParameter(
        int, 0, default=0, description="Examples in a step; 0 is 100 with classic, 32 with finetune."
    )
    learning_rate: NumberParameter[float] = NumberParameter(
        float, 0, 10, default=0, description="Learning rate; 0 is 0.01 with classic, 0.0003 with finetune."
    )
    averaging: NumberParameter[float] = NumberParameter(
        float, 0, 0.99999, default=0.99, description="With classic: decay of the weights' moving average, for watch."
    )
    class_weights: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="With lda: give every label the same prior, however many photos it has."
    )
    seed: NumberParameter[int] = NumberParameter(int, 0, default=0, description="Seed of all random numbers.")
    folds: NumberParameter[int] = NumberParameter(
        int, 0, 10, default=5, description="Folds of a head's cross-validation, 2 to 10; 0 skips it."
    )

    def check(self) -> None:
        """Check the parameters, as of every task, and the folds and the number of backbones."""
        super().check()
        if self.folds == 1:
            raise SettingError("--folds is 1; it takes 2 to 10, or 0 for no cross-validation.")
        if self.train == "finetune" and len(self.backbones) > 1:
            raise SettingError(
                f"--train finetune trains one backbone, and --backbone names {len(self.backbones)}. Name one, or train "
                "a head on all of them with --train head."
            )

    def check_backbones(self, backbones: Sequence[Backbone]) -> None:
        """Check the parameters that depend on the backbones, before any photo is read.

        Raises:
            SettingError: A backbone or this machine lacks what the parameters ask for, or two backbones are the same.
        """
        for place, backbone in enumerate(backbones):
            if self.train == "finetune":
                check_trainable(backbone)
            if any(backbone.weights_sha256 == other.weights_sha256 for other in backbones[:place]):
                raise SettingError(
                    f"--backbone names {backbone.name} twice: its weights are those of another one. Name it once."
                )
        settings, cluster = self.settings(backbones), self.cluster()
        if cluster and isinstance(settings.train, TrainSettings):
            for bottleneck in settings.train.bottlenecks:
                check_gpus(cluster.gpus, bottleneck.precision, bottleneck.backbone, find_hardware())

    def settings(self, backbones: Sequence[Backbone]) -> EvaluateSettings:
        """The settings of the evaluation, which contain those of all stages before it."""
        if self.train == "finetune":
            return EvaluateSettings(self._finetune(backbones[0]), folds=0)
        bottlenecks = tuple(bottleneck for backbone in backbones for bottleneck in self._bottlenecks(backbone))
        recipe = self._recipe(layered=any(len(backbone.layers) > 1 for backbone in backbones))
        return EvaluateSettings(TrainSettings(bottlenecks, recipe, self.seed), self.folds)

    def _bottlenecks(self, backbone: Backbone) -> Iterator[BottleneckSettings]:
        """The bottleneck settings of a backbone, those of its own crop first."""
        # The classic recipe uses the first view alone.
        crops = 2 if self.views == "4" and self.recipe == "lda" else 1
        others = [crop for crop in get_args(Crop) if crop != backbone.crop]
        for crop in [backbone.crop, *others][:crops]:
            yield BottleneckSettings(
                backbone=replace(backbone, crop=crop),
                encoding=self.encoding,
                precision=resolve_precision(self.precision, backbone, find_hardware()),
                views=min(int(self.views), 2),
                distortion=self._distortion(),
            )

    def _distortion(self) -> Distortion | None:
        if not (self.flip_left_right or self.random_crop or self.random_scale or self.random_brightness):
            return None
        return Distortion(
            views=self.distorted_views,
            flip_left_right=self.flip_left_right,
            random_crop=self.random_crop,
            random_scale=self.random_scale,
            random_brightness=self.random_brightness,
            seed=self.seed,
        )

    def _recipe(self, *, layered: bool) -> LdaRecipe | ClassicRecipe:
        if self.recipe == "classic":
            return ClassicRecipe(
                steps=self.steps,
                batch_size=self.batch_size or 100,
                learning_rate=self.learning_rate or 0.01,
                averaging=self.averaging,
            )
        # Without earlier layers the weights have no effect, so they are left out of the key.
        weights = self.layer_weights if layered else (1.0,)
        return LdaRecipe(shrinkage=self.shrinkage, layer_weights=weights, class_weights=self.class_weights)

    def _finetune(self, backbone: Backbone) -> FinetuneSettings:
        return FinetuneSettings(
            backbone=backbone.last_layer,
            encoding=self.encoding,
            epochs=self.epochs or 5,
            batch_size=self.batch_size or 32,
            learning_rate=self.learning_rate or 0.0003,
            seed=self.seed,
        )
