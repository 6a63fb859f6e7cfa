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
    """The lines of a colour that have several points, as points from the upper left; not those of a legend."""
    paths = [element for element in read(svg).iter(f"{NAMESPACE}path") if element.get("stroke") == colour]
    found = [points(element.attrib["d"]) for element in paths if element.get("clip-path")]
    return [line for line in found if len(line) > 1]


def points(path: str) -> list[tuple[float, float]]:
    """The points of a path that is made of straight lines."""
    numbers = [float(word) for word in path.split() if word not in "MLz"]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def size(svg: str) -> tuple[float, float]:
    """Width and height in CSS pixels."""
    drawn = read(svg)
    return float(drawn.attrib["width"]), float(drawn.attrib["height"])
