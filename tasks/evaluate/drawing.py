"""What all figures share: Agg alone, without pyplot's global state, one font, and PNG files that are reproducible."""

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import PercentFormatter

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


def dress(axes: Axes, across: str, up: str) -> None:
    """Give axes of lines their names, grid, and a legend above them; call it when the lines are drawn.

    Args:
        axes: The axes; their vertical values are shares.
        across: Name of the horizontal axis.
        up: Name of the vertical one.
    """
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(across, fontproperties=font(10), color=INK)
    axes.set_ylabel(up, fontproperties=font(10), color=INK)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, labelfontfamily=FONT, labelcolor=INK, color=INK)
    axes.legend(prop=font(9), loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, labelcolor=INK)


def to_png(figure: Figure) -> bytes:
    """Draw a figure as the bytes of a PNG file, cut to what is drawn."""
    buffer = io.BytesIO()
    # The version of Matplotlib would make the same figure another file after an upgrade.
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
