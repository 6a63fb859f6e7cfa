"""What all figures share: Agg alone, without pyplot's global state, one font, and PNG files that are reproducible."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

DOTS_PER_INCH = 144
FONT = "DejaVu Sans"  # Matplotlib brings it along, so that the figure looks the same everywhere
INK = "#26313b"
GRID = "#dfe5ea"


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure; width and height in inches."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def font(points: float) -> FontProperties:
    """The font of all figures."""
    return FontProperties(family=FONT, size=points)


def to_png(figure: Figure) -> bytes:
    """Draw a figure as the bytes of a PNG file, cut to what is drawn."""
    buffer = io.BytesIO()
    # The version of Matplotlib would make the same figure another file after an upgrade.
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
