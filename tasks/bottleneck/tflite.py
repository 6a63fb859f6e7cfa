"""Converts a function of TensorFlow's to a TFLite model, which LiteRT runs without TensorFlow."""

import warnings
from collections.abc import Callable
from typing import Any

from tasks.runtime.capture_stderr import capture_stderr
from tasks.runtime.tensorflow_import import freeze, tf


def convert(
    function: Callable[..., Any], inputs: list["tf.TensorSpec"], configure: Callable[[Any], None] | None = None
) -> bytes:
    """Convert a function.

    Args:
        function: For inside a `tf.function`.
        inputs: What it takes, with every dimension fixed.
        configure: Sets what else the converter should know, such as how to quantise.

    Returns:
        The TFLite model. Whatever the converter raises is passed on: it has no exceptions of its own.
    """
    # Frozen first: the converter does not see the weights of a network otherwise.
    frozen = freeze(tf.function(function, autograph=False).get_concrete_function(*inputs))
    # Both the converter and what it calls have much to say; what matters they raise.
    with capture_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if configure is not None:
            configure(converter)
        converted: bytes = converter.convert()
    return converted
