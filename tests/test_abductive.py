"""ABLkit as a baseline: it revises what it read, learns symbols from results, and says what it cannot learn."""

import sys

import numpy as np
import pytest
import torch
from glyphs import pictured

from nsr.baselines.abductive import AbductiveConfig, AbductiveTrainer, make_bridge, value_of
from nsr.baselines.training import Limits, split_off_validation
from nsr.cli.main import main
from nsr.errors import DataError
from nsr.experiment import drawn_examples
from nsr.model import NSR
from nsr.tasks.expressions import SYMBOLS
from nsr.tasks.packed import PackedTokens
from nsr.tasks.task import Examples

SMALL = AbductiveConfig(longest=3, first=80, segment=40, batch=16)


def examples() -> Examples:
    """Digits, sums and products of digits, and longer expressions, as images with their results."""
    digits = "123"
    sums = [f"{one}{operator}{other}" for one in digits for operator in "+*" for other in digits]
    expressions = [*(digits * 40), *(sums * 10), *(["1+2+3"] * 10)]
    inputs, _ = pictured(expressions, each=8)
    gold = PackedTokens.of(SYMBOLS, expressions)
    return Examples(inputs, tuple(value_of(each) for each in expressions), gold)


@pytest.fixture
def needs_ablkit() -> None:
    """ABLkit is an extra."""
    pytest.importorskip("ablkit", reason="needs ABLkit: pip install nsr[abl]")


def trainer(seed: int = 0, epochs: int = 2) -> AbductiveTrainer:
    return AbductiveTrainer(*split_off_validation(examples(), seed), Limits(epochs), seed, SMALL)


@pytest.mark.parametrize(
    ("symbols", "value"),
    [("2*(1+3)", 8), ("7", 7), ("1/0", None), ("1+", None), ("12", None), ("()", None), (")(", None), ("", None)],
)
def test_what_is_no_expression_has_no_value(symbols, value):
    assert value_of(tuple(symbols)) == value


def test_examples_are_those_that_the_learner_looks_at():
    """As many of each length, as far as there are so many."""
    found = examples()
    model = NSR("int", seed=3, examples=60, spread=True)
    drawn = drawn_examples(found, 60, 3, spread=True)
    assert np.array_equal(drawn.inputs.ids, found.inputs.take(model._drawn(found.inputs)).ids)
    assert np.unique(drawn.inputs.lengths, return_counts=True)[1].tolist() == [25, 25, 10]


def test_a_missing_library_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ablkit", None)
    assert main(["train-baseline", "hint", "--input", "images", "--model", "ablkit"]) == 2
    assert capsys.readouterr().err == "nsr: ablkit needs ABLkit, which is not installed: pip install nsr[abl]\n"


def test_expressions_that_are_all_too_long_are_refused():
    found = examples()
    long = found.take(np.flatnonzero(found.inputs.lengths > 3).tolist())
    with pytest.raises(DataError, match="ablkit needs expressions of at most 3 symbols"):
        AbductiveTrainer(*split_off_validation(long, 0), Limits(1), 0, SMALL)


@pytest.mark.usefixtures("needs_ablkit")
def test_the_fewest_symbols_are_revised():
    network = torch.nn.Linear(1, len(SYMBOLS))
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    bridge = make_bridge(network, torch.nn.CrossEntropyLoss(), optimizer, AbductiveConfig(), "cpu")
    search = bridge.reasoner.kb.abduce_candidates
    assert search(["1", "+", "2"], 3, None, 2, 0)[0] == [["1", "+", "2"]]
    assert sorted(search(["6", "1", "2"], 3, None, 2, 0)[0]) == [["6", "/", "2"]]
    assert search(["6", "1", "2"], 3, None, 0, 0)[0] == []
    assert ["(", "1", "+", "2", ")", "*", "3"] in search(["1", "1", "+", "2", "2", "*", "3"], 9, None, 2, 0)[0]


@pytest.mark.usefixtures("needs_ablkit")
def test_short_expressions_come_first_and_long_ones_never():
    made = trainer()
    assert made.learned_from == np.count_nonzero(split_off_validation(examples(), 0)[0].inputs.lengths <= 3)
    first = np.concatenate(made.batches())
    assert sorted(first.tolist()) == list(range(made.learned_from))
    assert made.lengths[first][:160].tolist() == [1] * 80 + [3] * 80
    assert len(made.batches()) == made.batches_per_epoch
    made.progress.epoch = 1
    assert len(set(made.lengths[np.concatenate(made.batches())[:80]].tolist())) == 2


@pytest.mark.usefixtures("needs_ablkit")
def test_symbols_are_learned_from_results(monkeypatch, tmp_path, capsys):
    """And what they were in training plays no part; ABLkit writes no logs."""
    monkeypatch.chdir(tmp_path)
    made, found = trainer(epochs=6), examples()
    before = made.answer(found)
    made.train = Examples(made.train.inputs, made.train.outputs)
    assert made.fit() == "epochs"
    after = made.answer(found)
    assert before.right.mean() < 0.3
    assert after.right.mean() > 0.9
    assert after.figures["symbols"]["alone"] > 90
    assert after.answered.mean() > 0.9
    assert made.progress.history[-1]["loss"] < made.progress.history[0]["loss"]
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("needs_ablkit")
def test_going_on_from_a_checkpoint_is_as_if_nothing_had_happened():
    whole, begun, kept = trainer(), trainer(), {}
    whole.fit()

    def kill():
        if begun.progress.updates == 3:
            kept.update(begun.files())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begun.fit(kill)
    resumed = trainer()
    resumed.restore(kept)
    resumed.fit()
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(weights, resumed.model.state_dict()[name])
