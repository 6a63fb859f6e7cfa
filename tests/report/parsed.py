"""Parse pages as a browser would."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from tasks.report.build import Report
from tasks.report.page import render_report

_VOID = {"br", "circle", "img", "line", "link", "meta", "polyline", "rect"}
_WORDS = {"td", "th", "dt", "dd", "caption", "figcaption", "span", "p", "li"}


@dataclass
class Page(HTMLParser):
    """The elements and texts of a page."""

    html: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        assert not self.open_tags

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an empty element of an SVG figure."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close an element; a table's cell or a line ends a word."""
        assert self.open_tags.pop() == tag
        if tag in _WORDS:
            self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        """Keep visible text, scripts and styles apart."""
        kept = {"style": self.styles, "script": self.scripts}.get(self.open_tags[-1] if self.open_tags else "")
        (self.texts if kept is None else kept).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every element of this name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        """All text, with every run of blanks as one."""
        return " ".join("".join(self.texts).split())


def text_of(report: Report) -> str:
    """Return the visible text of a report."""
    return Page(render_report(report)).text
