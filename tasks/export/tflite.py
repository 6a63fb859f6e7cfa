"""The exports that take pixels and run without TensorFlow: TFLite models in float and in int8."""

from typing import Any

from tasks.backbone.frozen_function import FrozenGraph
from tasks.backbone.model_file_errors import first_line
from tasks.bottleneck.tflite import convert
from tasks.errors import ModelError
from tasks.export.classifier import Classifier
from tasks.export.tflite_merge import MergedModel, MergedPart
from tasks.runtime.tensorflow_import import tf


def float_lite(graph: FrozenGraph, size: int) -> bytes:
    """Convert a classifier: pixels, uint8 [1, size, size, 3], to probabilities, float32 [1, C].

    Raises:
        ModelError: LiteRT cannot compute it.
    """
    try:
        return convert(graph.call, [tf.TensorSpec((1, size, size, 3), tf.uint8, "pixels")])
    except Exception as exc:  # the converter has no exceptions of its own
        raise ModelError(
            f"LiteRT cannot compute the network ({first_line(exc)}). Take another --backbone to export to LiteRT."
        ) from exc


def int8_lite(network: bytes, classifier: Classifier) -> bytes:
    """Put the head, in float, behind a network in int8, and show it the classifier's views.

    The head stays in float: square roots and a sum of a thousand products lose too much in 8 bits. The averages of each
    layer come with a scale of their own.

    Args:
        network: A TFLite model: pixels, uint8 [1, S, S, 3], to what `classifier.network` gives, as one or more outputs,
            float32 [1, K], that are joined; a head on the last layer leaves those of the others.
        classifier: The classifier.

    Returns:
        A TFLite model: pixels, uint8 [1, S, S, 3], to probabilities, float32 [1, C].
    """
    backbone = MergedPart(network)
    chain = MergedModel(backbone)
    views = [chain.inputs[0]]
    if classifier.views == 2:
        pixels = tf.TensorSpec((1, classifier.size, classifier.size, 3), tf.uint8)
        views += chain.call(MergedPart(convert(lambda plain: plain[:, :, ::-1], [pixels])), chain.inputs)
    widths = [int(backbone.graph.tensors[place].shape[-1]) for place in backbone.graph.outputs]
    taken = len(widths) if classifier.head is None or classifier.head.rooted else 1
    averages = [output for view in views for output in chain.call(backbone, [view])[:taken]]
    # Each input has a name: the converter sorts those without one.
    inputs = [
        tf.TensorSpec((1, width), tf.float32, f"view{view}_layer{layer}")
        for view in range(len(views))
        for layer, width in enumerate(widths[:taken])
    ]

    def head(*of_views: Any) -> Any:
        joined = [tf.concat(of_views[start : start + taken], 1) for start in range(0, len(of_views), taken)]
        return tf.reduce_mean(classifier.apply_head(tf.concat(joined, 0)), 0, keepdims=True)

    return chain.finish(chain.call(MergedPart(convert(head, inputs)), averages))
