"""Words of one class may be swapped without any change to the trees; others may not."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import nsr
from nsr.errors import InputError
from nsr.learning.deduction import candidates
from nsr.model import NSR
from nsr.reports.plots import swap_heat_map
from nsr.reports.swap import format_swap_matrix, swap_matrix, words_by_class
from nsr.tasks import Examples

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "swap_matrix.py"


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
    return {word: model.lexicon.signatures(symbol) for symbol, word in enumerate(model.lexicon.symbols)}


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


def test_text_shows_one_only_where_it_is_exact() -> None:
    matrix = np.array([[1.0, 0.9999], [0.0, np.nan]])
    assert format_swap_matrix(("walk", "to"), matrix) == "\n".join(
        ["      walk   to", "walk     1  .99", "to       0    -"]
    )


def test_heat_map_is_an_image(found: tuple[tuple[str, ...], np.ndarray]) -> None:
    pytest.importorskip("matplotlib")
    words, matrix = found
    assert swap_heat_map(words, matrix, "swaps").startswith(b"\x89PNG")


def test_script_prints_and_draws(model: NSR, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    model.save(tmp_path / "run")
    spec = importlib.util.spec_from_file_location("swap_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arguments = [str(tmp_path / "run"), "--split", "length", "--words", "walk", "run", "--out", str(tmp_path / "s.png")]
    assert script.main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == ["      walk  run", "walk     1    1", "run      1    1"]
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert script.main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
