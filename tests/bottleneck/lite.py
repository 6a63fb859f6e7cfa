"""The default backbone, for the tests of what needs a real one."""

from pathlib import Path

from tasks.backbone.backbones import Prepared
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.progress import NullProgress


def lite(size: int) -> Prepared:
    """EfficientNet-Lite0 for pictures of this size; its weights are in a package, so that no folder is needed."""
    return prepare_backbone(BackboneRequest("efficientnet_lite0", size=size), Path(), NullProgress())
