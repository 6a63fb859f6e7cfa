"""Reading what is drawn: figures as the elements that they are made of."""

from xml.etree.ElementTree import Element, fromstring

NAMESPACE = "{http://www.w3.org/2000/svg}"


def read(svg: str) -> Element:
    """Parse a figure; raises where a browser would have to guess."""
    drawn = fromstring(svg)  # noqa: S314 (drawn just now)
    assert drawn.tag == f"{NAMESPACE}svg"
    return drawn


def texts(svg: str) -> list[str]:
    """Return all texts of a figure, without its titles."""
    return [element.text or "" for element in read(svg).iter(f"{NAMESPACE}text")]


def titles(svg: str) -> list[str]:
    """Return the titles, which the pointer shows."""
    return [element.text or "" for element in read(svg).iter(f"{NAMESPACE}title")]


def lines(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """The lines of a colour, as points from the upper left; not those of the legend, which is a group."""
    drawn = [line for line in read(svg).findall(f"{NAMESPACE}polyline") if line.get("stroke") == colour]
    return [points(line) for line in drawn]


def points(line: Element) -> list[tuple[float, float]]:
    """The points of a line."""
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def intervals(svg: str) -> int:
    """Number of intervals that are drawn as vertical lines."""
    return sum(path.attrib["d"].count("M") for path in read(svg).iter(f"{NAMESPACE}path") if path.get("opacity"))


def size(svg: str) -> tuple[float, float]:
    """Width and height in CSS pixels."""
    drawn = read(svg)
    return float(drawn.attrib["width"]), float(drawn.attrib["height"])
