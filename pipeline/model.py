"""What the nightly root task lets a person choose of the model, and the settings that this comes to."""

from typing import cast

import luigi

from pipeline.root import RootTask
from tasks.backbone.backbones import Backbone
from tasks.bottleneck.hardware import find_hardware
from tasks.bottleneck.precision import AUTO, PRECISIONS, check_gpus, resolve_precision
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.bottleneck.stored import DTYPES, Dtype
from tasks.errors import SettingError
from tasks.evaluate.settings import EvaluateSettings
from tasks.parameters import Choice, Number, Numbers
from tasks.train.settings import AdamRecipe, ClassicRecipe, FinetuneSettings, TrainSettings


class ModelTask(RootTask):
    """A root task that trains a model: how its bottlenecks are computed, and how it is trained and measured."""

    views: Number[int] = Number(
        int, 1, 2, default=2, description="Views of a photo: 1 is the plain photo, 2 adds its mirror image."
    )
    precision: Choice = Choice(
        AUTO,
        *PRECISIONS,
        default=AUTO,
        description="What bottlenecks are computed in; auto is int8 for EfficientNet-Lite on a processor, else "
        "bfloat16 where the hardware computes in it, else float32.",
    )
    bottleneck_dtype: Choice = Choice(
        *DTYPES,
        default="float32",
        description="What bottlenecks are stored in; float16 takes half of the bytes.",
    )
    flip_left_right: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Train on distorted views too, half of them mirrored."
    )
    random_crop: Number[int] = Number(
        int, 0, 100, default=0, description="Train on distorted views too, with a margin of this per cent cropped away."
    )
    random_scale: Number[int] = Number(
        int, 0, 400, default=0, description="Train on distorted views too, enlarged by up to this per cent."
    )
    random_brightness: Number[int] = Number(
        int, 0, 100, default=0, description="Train on distorted views too, brighter or darker by up to this per cent."
    )
    distorted_views: Number[int] = Number(
        int, 1, 100, default=8, description="Distorted views of a photo, where any distortion is asked for."
    )

    train: Choice = Choice(
        "head", "finetune", default="head", description="Train a head on bottlenecks, or fine-tune the whole network."
    )
    recipe: Choice = Choice(
        "adam",
        "classic",
        default="adam",
        description="How a head is trained: adam is this project's recipe, classic the loop of retrain.py.",
    )
    l2: Numbers = Numbers(
        0, default=(0.003, 0.01, 0.03, 0.1, 0.3), description="Of adam: strengths of weight decay to choose from."
    )
    epochs: Number[int] = Number(
        int,
        0,
        default=0,
        description="Passes over the training photos, more where they are few; 0 is 40 for adam, 5 for finetune.",
    )
    steps: Number[int] = Number(int, 1, default=4000, description="Of classic: steps of gradient descent.")
    batch_size: Number[int] = Number(
        int,
        0,
        default=0,
        description="Examples in a step; 0 is 128 for adam, 100 for classic, 32 for finetune.",
    )
    learning_rate: Number[float] = Number(
        float, 0, 10, default=0, description="0 is 0.003 for adam, 0.01 for classic, 0.0003 for finetune."
    )
    averaging: Number[float] = Number(
        float, 0, 0.99999, default=0.99, description="Decay of the moving average of a head's weights."
    )
    class_weights: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Of adam: let every label count alike, however many photos it has."
    )
    seed: Number[int] = Number(int, 0, default=0, description="Of everything that is drawn.")
    folds: Number[int] = Number(
        int, 0, 100, default=5, description="Folds of a head's cross-validation; 0 does without one."
    )

    def parameters(self) -> dict[str, str]:
        """As every root task's; runs of when bottlenecks were stored in float32 alone keep their names."""
        given = super().parameters()
        if given["bottleneck_dtype"] == "float32":
            del given["bottleneck_dtype"]
        return given

    def check(self) -> None:
        """As every root task; and the folds."""
        super().check()
        if self.folds == 1:
            raise SettingError("--folds is 1; it takes 2 at least, or 0 for no cross-validation.")

    def check_backbone(self, backbone: Backbone) -> None:
        """Check what depends on the backbone before any photo is read.

        Raises:
            SettingError: The parameters ask for what the backbone or this machine cannot do.
        """
        if self.train == "finetune":
            backbone.check_trainable()
        settings = self.settings(backbone)
        cluster = self.cluster()
        if cluster and isinstance(settings.train, TrainSettings):
            check_gpus(cluster.gpus, settings.train.bottleneck.precision, find_hardware())

    def settings(self, backbone: Backbone) -> EvaluateSettings:
        """All settings, each stage's inside the next one's."""
        if self.train == "finetune":
            return EvaluateSettings(self._finetune(backbone), folds=0)
        bottleneck = BottleneckSettings(
            backbone=backbone,
            encoding=self.encoding,
            precision=resolve_precision(self.precision, backbone, find_hardware()),
            views=self.views,
            distortion=self._distortion(),
            dtype=cast("Dtype", self.bottleneck_dtype),
        )
        return EvaluateSettings(TrainSettings(bottleneck, self._recipe(), self.seed), self.folds)

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

    def _recipe(self) -> AdamRecipe | ClassicRecipe:
        if self.recipe == "classic":
            return ClassicRecipe(
                steps=self.steps,
                batch_size=self.batch_size or 100,
                learning_rate=self.learning_rate or 0.01,
                averaging=self.averaging,
            )
        return AdamRecipe(
            l2=self.l2,
            epochs=self.epochs or 40,
            batch_size=self.batch_size or 128,
            learning_rate=self.learning_rate or 0.003,
            averaging=self.averaging,
            class_weights=self.class_weights,
        )

    def _finetune(self, backbone: Backbone) -> FinetuneSettings:
        return FinetuneSettings(
            backbone=backbone,
            encoding=self.encoding,
            epochs=self.epochs or 5,
            batch_size=self.batch_size or 32,
            learning_rate=self.learning_rate or 0.0003,
            seed=self.seed,
        )
