"""The registry of the kinds of backbones. A new kind is a module here and a line in `KINDS`."""

from collections.abc import Mapping

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds.base import BackboneKind, TrainableKind
from tasks.backbone.kinds.efficientnet_lite import EfficientNetLiteKind
from tasks.backbone.kinds.frozen_graph import FrozenGraphKind
from tasks.backbone.kinds.keras_application import KerasApplicationKind
from tasks.backbone.kinds.keras_file import KerasFileKind
from tasks.backbone.kinds.keras_hub import KerasHubKind
from tasks.backbone.kinds.onnx_file import OnnxFileKind
from tasks.backbone.kinds.saved_model import SavedModelKind
from tasks.errors import SettingError

KINDS: Mapping[str, BackboneKind] = {
    kind.name: kind
    for kind in (
        EfficientNetLiteKind(),
        FrozenGraphKind(),
        KerasApplicationKind(),
        KerasFileKind(),
        KerasHubKind(),
        OnnxFileKind(),
        SavedModelKind(),
    )
}


def check_trainable(backbone: Backbone) -> TrainableKind:
    """Check that a backbone's weights can be trained further, and return its kind.

    Raises:
        SettingError: They are constants.
    """
    kind = KINDS[backbone.kind]
    if not isinstance(kind, TrainableKind):
        raise SettingError(
            f"{backbone.name} is a graph whose weights are constants: it cannot be trained further. Train the head "
            "alone, or give an efficientnet_lite, keras:<Name>, hub:<preset> or a .keras file as --backbone."
        )
    return kind
