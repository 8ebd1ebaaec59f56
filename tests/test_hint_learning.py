"""HINT is learned: from few expressions here, from the published ones in the slow tests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import nsr
from nsr.errors import ConfigError, InputError
from nsr.semantics.lexicon import Signature
from nsr.semantics.values import EMPTY
from nsr.tasks import make_task
from nsr.tasks.expressions import OPERATORS, infix, long_expressions, read

DIGITS = "0123456789"


def expressions(count, operators, seed, names="+-*/"):
    """Random expressions with at most so many operators and values of at most 100, with their values."""
    rng, found = np.random.default_rng(seed), {}

    def prefix(size):
        if size == 0:
            return str(rng.integers(10))
        left = int(rng.integers(size))
        return str(rng.choice(list(names))) + prefix(left) + prefix(size - 1 - left)

    while len(found) < count:
        tokens = tuple(infix(prefix(int(rng.integers(operators + 1)))))
        tree = read(tokens)
        if tree.value is not None and tree.largest <= 100:
            found[tokens] = tree.value
    return found


def learner(**settings):
    task = make_task("hint")
    return nsr.NSR("int", task=task, seed=0, **{**task.settings, **settings})


TRAIN = {**expressions(350, 1, 0), **expressions(3_000, 4, 1)}
TEST = expressions(400, 7, 2)


@pytest.fixture(scope="module")
def model():
    return learner().fit(list(TRAIN), list(TRAIN.values()))


def accuracy(model, examples):
    return np.mean(
        [found == value for found, value in zip(model.predict(list(examples)), examples.values(), strict=True)]
    )


def test_programs_and_precedence_are_learned(model):
    assert accuracy(model, TEST) > 0.995
    symbols = model.lexicon.symbols
    for name in "+-*/":
        entry = model.lexicon.entries[symbols.index(name), 2]
        assert entry.signatures == {Signature(1, 1), Signature(2, 2, (0, 3))}  # with and without its parentheses
        for pair in ((7, 3), (3, 7), (0, 5), (90, 4), (10**6, 10**3)):
            assert model.modules.executor.run(entry.program, pair) == OPERATORS[name](*pair)


def test_an_answer_is_explained(model):
    gss = model.deduce("2*(3+4)-5")
    assert gss.value == 9
    assert gss.heads.tolist() == list(read("2*(3+4)-5").heads)
    assert gss.values[2] is EMPTY


def test_a_word_is_learned_from_few_examples_and_the_rest_is_kept(model):
    shots = {tokens: value for tokens, value in expressions(400, 5, 3, "+-*/c").items() if "c" in tokens}
    shots = dict(list(shots.items())[:150])
    test = {tokens: value for tokens, value in expressions(300, 7, 4, "+-*/c").items() if "c" in tokens}
    before = {key: entry.program for key, entry in model.lexicon.entries.items()}
    extended = learner().build_on(model).fit(list(shots), list(shots.values()))
    assert accuracy(extended, test) > 0.9
    assert accuracy(extended, TEST) == accuracy(model, TEST)
    assert {key: extended.lexicon.program(key) for key in before} == before
    assert "c" not in model.lexicon.symbols


def test_shots_that_do_not_fit_are_refused(model):
    with pytest.raises(ConfigError, match="only build on one with the same primitives"):
        learner(hidden=7).build_on(model)
    with pytest.raises(InputError, match="unknown word 'x'"):
        model.predict([("x",)])


@pytest.mark.slow
def test_parentheses_need_not_be_declared():
    undeclared = learner(separators="").fit(list(TRAIN), list(TRAIN.values()))
    for name in "()":
        assert undeclared.lexicon.program((undeclared.lexicon.symbols.index(name), 0)).value is EMPTY
    assert accuracy(undeclared, TEST) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"syntax": "given"}, {"semantics": "given"}])
def test_one_module_may_be_given(given, tmp_path):
    found = learner(**given).fit(list(TRAIN), list(TRAIN.values()))
    assert accuracy(found, TEST) > 0.98
    found.save(tmp_path / "run")
    assert nsr.load(tmp_path / "run").predict(list(TEST)[:50]) == found.predict(list(TEST)[:50])


def test_what_a_task_cannot_give():
    with pytest.raises(ConfigError, match="scan cannot give the syntax"):
        nsr.train("scan", word_order="raw", syntax="given")
    with pytest.raises(ConfigError, match="this model has no task"):
        nsr.NSR("int", semantics="given").fit(["1"], [1])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(model):
    again = learner().fit(list(TRAIN), list(TRAIN.values()))
    assert again.files() == model.files()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"separators": ""}])
def test_the_published_expressions(settings):
    found = nsr.train("hint", seed=0, **settings)
    subsets = {name: found.metrics["test"]["subsets"][name] for name in ("I", "SS", "LS", "SL", "LL")}
    assert min(subsets.values()) >= 99.9, subsets
    validation = nsr.evaluate(found, part="validation")
    assert (validation["count"], validation["accuracy"] >= 99.9) == (4698, True)
    inputs = long_expressions(50, 200, 10**6, np.random.default_rng(0))
    assert found.predict(inputs) == [read(tokens).value for tokens in inputs]


@pytest.mark.slow
@pytest.mark.parametrize("concept", "xyabcd")
def test_the_published_concepts(concept, tmp_path_factory):
    base = tmp_path_factory.getbasetemp() / "hint-base"
    nsr.train("hint", seed=0, out=base, resume=True)
    found = nsr.train("hint", concept=concept, from_run=base, seed=0)
    assert found.metrics["test"]["accuracy"] >= 99


def test_options_of_the_task_are_dataclass_fields():
    names = [each.name for each in dataclasses.fields(make_task("hint"))]
    assert names == ["input", "concept", "shots", "symbols", "symbol_split", "quick"]
