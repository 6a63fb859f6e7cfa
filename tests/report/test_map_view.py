"""The map as the page has it: the script's points are those that are drawn, in the same order."""

from tasks.report.map_view import SIDE, MapMarker, MapView, view_map
from tasks.report.view_model import BottleneckMap, MapPoint
from tests.report.made_up import draw_photo

LABELS = ("daisy", "roses", "tulips")


def point(x: float, y: float, label: int, predicted: int, path: str = "a.jpg") -> MapPoint:
    return MapPoint(x, y, label, "test", predicted, path, draw_photo(0, 64))


def view(*points: MapPoint, labels: tuple[str, ...] = LABELS) -> MapView:
    return view_map(BottleneckMap(points, len(points), "Made up."), labels)


def test_points_are_grouped_by_label_with_the_mistakes_last() -> None:
    shown = view(point(0, 0, 2, 2), point(0.5, 1, 0, 1), point(1, 0.5, 0, 0))
    assert [(group.label, group.name) for group in shown.groups] == [(0, "daisy"), (2, "tulips")]
    assert shown.groups[0].marks == [MapMarker(626, 320, wrong=False), MapMarker(320, 14, wrong=True)]
    assert shown.groups[1].marks == [MapMarker(14, 626, wrong=False)]
    assert shown.mistakes == 1


def test_the_script_s_points_are_those_of_the_marks_in_their_order() -> None:
    shown = view(point(0.1, 0.2, 2, 0, "c"), point(0.3, 0.4, 1, 1, "b"), point(0.5, 0.6, 1, 0, "a"))
    marks = [(mark.x, mark.y, mark.wrong) for group in shown.groups for mark in group.marks]
    assert marks == [(x, y, label != guess) for x, y, label, guess, _, _ in shown.data["points"]]
    assert [path for *_, path in shown.data["points"]] == ["b", "a", "c"]


def test_the_corners_lie_inside_the_map() -> None:
    corners = view(*(point(x, y, 0, 0) for x in (0, 1) for y in (0, 1))).groups[0].marks
    assert all(10 < place < SIDE - 10 for mark in corners for place in (mark.x, mark.y))


def test_a_few_labels_have_the_figures_colours_and_many_each_one_of_their_own() -> None:
    names = tuple(f"label {number}" for number in range(40))
    few = view(point(0, 0, 0, 0), point(0, 0, 1, 1))
    many = view(*(point(0, 0, label, label) for label in range(40)), labels=names)
    assert [group.colour for group in few.groups] == ["#0072b2", "#d55e00"]
    assert len({group.colour for group in many.groups}) == 40


def test_points_are_smaller_the_more_there_are() -> None:
    assert view(point(0, 0, 0, 0)).radius == 7
    assert 2.8 <= view(*[point(0, 0, 0, 0)] * 1500).radius < 4
