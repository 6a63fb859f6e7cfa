"""Label issues: which labels are issues, their order, and the file."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.evaluate.label_issues import (
    LabelIssues,
    find_label_issues,
    publish_label_issues,
    read_label_issues,
)
from tasks.evaluate.predictions import Probabilities
from tasks.shards.schemas import LABEL_ISSUES
from tasks.storage.errors import DamagedError
from tests.support.data_root import LABELS, draw_photos, draw_probabilities


def predict(truth: list[int], sure: float, labels: int = 3) -> Probabilities:
    """Probabilities of a head that is so sure of the true labels."""
    rest = (1 - sure) / (labels - 1)
    return np.where(np.eye(labels, dtype=bool)[truth], sure, rest).astype(np.float32)


def find(given: list[int], crossed: Probabilities, disputed: tuple[int, ...] = ()) -> LabelIssues:
    return find_label_issues(np.array(given), crossed, np.isin(np.arange(len(given)), disputed))


def test_exchanged_labels_are_issues_and_the_true_ones_are_suggested() -> None:
    truth = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    given = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    found = find(given, predict(truth, 0.9))
    assert np.flatnonzero(found.is_issue).tolist() == [3, 7]
    assert found.suggested[found.is_issue].tolist() == [0, 1]
    np.testing.assert_allclose(found.suggested_probability[found.is_issue], 0.9)
    np.testing.assert_allclose(found.label_probability, np.where(found.is_issue, 0.05, 0.9), rtol=1e-6)
    np.testing.assert_array_equal(found.score, found.label_probability)


def test_thresholds_are_those_of_each_label() -> None:
    """A head that is never sure of a label still finds the photos of that label among another one's."""
    crossed = np.array([[0.9, 0.1]] * 8 + [[0.45, 0.55]] * 8, np.float32)
    given = [0] * 9 + [1] * 7
    found = find(given, crossed)
    assert np.flatnonzero(found.is_issue).tolist() == [8]


def test_labels_that_are_all_predicted_are_no_issues() -> None:
    truth = [0, 1, 2] * 5
    assert not find(truth, predict(truth, 0.4)).is_issue.any()


def test_a_label_without_photos_is_never_confident() -> None:
    found = find([0, 0, 1, 1], predict([2, 0, 1, 1], 0.8))
    assert found.is_issue.tolist() == [False] * 4
    assert found.suggested[0] == 2


def test_photos_whose_near_duplicates_have_another_label_are_issues_and_the_worst() -> None:
    truth = [0, 0, 0, 1, 1, 1]
    found = find(truth, predict(truth, 0.9), disputed=(1, 4))
    assert np.flatnonzero(found.is_issue).tolist() == [1, 4]
    assert found.score[[1, 4]].tolist() == [0, 0]
    assert found.label_probability[1] == np.float32(0.9)


def publish(folder: Path) -> LabelIssues:
    photos = draw_photos()
    issues = find_label_issues(photos.truth, draw_probabilities(len(photos.truth), 3), photos.truth == 3)
    publish_label_issues(folder, photos, issues, {"snapshot": "snap"})
    return issues


def test_the_file_has_all_photos_issues_first_each_by_its_score(tmp_path: Path) -> None:
    issues = publish(tmp_path)
    table = pq.read_table(tmp_path / "label_issues.parquet")
    assert table.schema.equals(LABEL_ISSUES)
    assert table.num_rows == len(issues.score)
    count = int(issues.is_issue.sum())
    assert 0 < count < table.num_rows
    flags, scores = table["is_issue"].to_pylist(), table["score"].to_pylist()
    assert flags == [True] * count + [False] * (len(flags) - count)
    assert scores[:count] == sorted(scores[:count])
    assert scores[count:] == sorted(scores[count:])
    rows = read_label_issues(tmp_path)
    assert [row.sha256 for row in rows] == table["sha256"].to_pylist()[:count]
    assert all(row.suggested != row.label and row.suggested in LABELS for row in rows)
    assert [row.score for row in read_label_issues(tmp_path, worst=count + 3)] == scores[: count + 3]


def test_a_damaged_file_is_named_and_a_missing_one_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_label_issues(tmp_path)
    publish(tmp_path)
    file = tmp_path / "label_issues.parquet"
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(DamagedError, match=r"label_issues\.parquet cannot be read"):
        read_label_issues(tmp_path)
