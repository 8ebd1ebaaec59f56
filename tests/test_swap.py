"""Words of one class may be swapped without any change to the trees; others may not."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import nsr
from nsr.errors import InputError
from nsr.learning.deduction import candidates
from nsr.model import NSR
from nsr.reports import swap
from nsr.reports.pool import Runs
from nsr.reports.swap import SwapRow, SwapTable, format_share, swap_matrix, words_by_class
from nsr.reports.table_plots import draw
from nsr.reports.tables import Failed, Variant
from nsr.runs import to_json
from nsr.tasks import Examples
from nsr.tasks.scan import WORDS


@pytest.fixture(scope="module")
def model() -> NSR:
    return nsr.train("scan", split="length", max_tokens=4)


@pytest.fixture(scope="module")
def examples(model: NSR) -> Examples:
    return model.task.load("length").test.take(range(0, 3920, 8))


@pytest.fixture(scope="module")
def found(model: NSR, examples: Examples) -> tuple[tuple[str, ...], np.ndarray]:
    return swap_matrix(model, examples)


def _class_of(model: NSR) -> dict[str, frozenset]:
    return {word: model.lexicon.signatures[symbol] for symbol, word in enumerate(model.lexicon.symbols)}


def test_swaps_within_a_class_change_nothing(model: NSR, found: tuple[tuple[str, ...], np.ndarray]) -> None:
    words, matrix = found
    classes = _class_of(model)
    pairs = [
        (i, j) for i, first in enumerate(words) for j, second in enumerate(words) if classes[first] == classes[second]
    ]
    assert len(pairs) > len(words)
    assert {(words[i], words[j]): matrix[i, j] for i, j in pairs if matrix[i, j] != 1.0} == {}


def test_swaps_across_classes_change_trees(model: NSR, found: tuple[tuple[str, ...], np.ndarray]) -> None:
    words, matrix = found
    classes = _class_of(model)
    across = np.array([[classes[first] != classes[second] for second in words] for first in words])
    assert (matrix[across] < 1).any()


def test_one_swap_at_a_time_gives_the_same(
    model: NSR, examples: Examples, found: tuple[tuple[str, ...], np.ndarray]
) -> None:
    """The matrix agrees with parsing each sentence by itself."""
    words, matrix = found
    for word, other in (("left", "twice"), ("after", "walk"), ("run", "turn")):
        few = examples.take(index for index, tokens in enumerate(examples.inputs) if word in tokens).take(range(10))
        share, count = swap_matrix(model, few, [word, other])[1][0, 1], 0
        for tokens in few.inputs:
            swapped = tuple(other if token == word else token for token in tokens)
            before, after = candidates(model.modules, [tokens]).heads, candidates(model.modules, [swapped]).heads
            count += len(after) == 1 and np.array_equal(before, after)
        assert share == count / len(few)
    assert matrix.shape == (len(words), len(words))


def test_words_that_do_not_occur_have_no_share(model: NSR) -> None:
    few = Examples((("walk", "twice"),), (("I_WALK", "I_WALK"),))
    words, matrix = swap_matrix(model, few)
    occurs = np.isin(words, ["walk", "twice"])
    assert np.isnan(matrix[~occurs]).all()
    assert not np.isnan(matrix[occurs]).any()


def test_unknown_words_are_refused(model: NSR, examples: Examples) -> None:
    with pytest.raises(InputError, match="unknown word 'hop'"):
        swap_matrix(model, examples, ["walk", "hop"])


def test_words_of_a_class_stand_side_by_side(model: NSR) -> None:
    classes = _class_of(model)
    listed = [classes[word] for word in words_by_class(model.modules)]
    changes = sum(first != second for first, second in pairwise(listed))
    assert changes == len(set(classes.values())) - 1


def test_only_what_is_exactly_one_shows_as_one() -> None:
    assert [format_share(share) for share in (1.0, 0.9999, 0.5, 0.0, np.nan)] == ["1", ".99", ".50", "0", "-"]


TABLE = SwapTable("scan", "Swaps", Variant("length", "length"), ("walk", "run", "left", "and"))


def test_table_has_the_matrix(model: NSR, examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "examples_of", lambda model: examples)
    rows = [TABLE.row(word, [0, 1], [model, model]) for word in TABLE.words]
    words, matrix = swap_matrix(model, examples, TABLE.words)
    assert [list(row.kept) for row in rows] == [list(words)] * 4
    assert [[runs[1] for runs in row.kept.values()] for row in rows] == matrix.tolist()
    assert rows[0].sentences == (sum("walk" in tokens for tokens in examples.inputs),) * 2
    lines = TABLE.to_markdown(rows).splitlines()
    assert lines[2] == "| | walk | run | left | and | sentences |"
    assert [line.split(" | ")[:-1] for line in lines[4:8]] == [
        ["| walk", "1", "1", "0", "0"],
        ["| run", "1", "1", "0", "0"],
        ["| left", "0", "0", "1", "0"],
        ["| and", "0", "0", "0", "1"],
    ]


def test_table_has_no_share_of_a_word_that_does_not_occur(model: NSR, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "examples_of", lambda model: Examples((("walk",),), (("I_WALK",),)))
    row = TABLE.row("run", [0], [model])
    assert row.kept == dict.fromkeys(TABLE.words, (None,))
    assert TABLE.cells(row) == ("run", "-", "-", "-", "-", "0")
    assert b"NaN" not in to_json(asdict(row))


def test_words_of_the_table_are_those_of_the_task(model: NSR) -> None:
    assert sorted(WORDS) == sorted(model.modules.perception.symbols)


def test_heat_map_is_an_image(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    kept = {"walk": (1.0, 0.5), "run": (None, None)}
    rows = [SwapRow("walk", (0, 1), (9, 9), kept), SwapRow("run", (0, 1), (0, 0), dict.fromkeys(kept, (None, None)))]
    (content,) = draw("scan-swap", "Swaps", [*rows, Failed("left", "unknown")], {}, Runs(tmp_path)).values()
    assert content.startswith(b"\x89PNG")
