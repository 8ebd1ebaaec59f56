"""PCFG SET is learned from few pairs, and what is learned holds for any letters and any depth."""

from __future__ import annotations

import numpy as np
import pytest

import nsr
from nsr.errors import ConfigError
from nsr.experiment import examine
from nsr.semantics.execution import Executor
from nsr.semantics.notation import parse_program, to_text
from nsr.semantics.primitives import primitive_set
from nsr.tasks import make_task
from nsr.tasks.pcfg import GOLD_PROGRAMS
from nsr.tasks.string_edits import TWIN, deep, generate, meaning

HUNDRED = pytest.approx(100.0)


@pytest.fixture(scope="module")
def model():
    sentences = generate(1_000, np.random.default_rng(0))
    task = make_task("pcfg")
    learner = nsr.NSR(task.primitives, task=task, seed=0, **task.settings)
    return learner.fit(sentences, [meaning(sentence) for sentence in sentences])


def test_the_lexicon_holds_ten_functions_the_literals_and_nothing_else(model):
    assert holds_just_the_gold_programs(model)


def holds_just_the_gold_programs(model) -> bool:
    executor, generator, primitives = Executor(), np.random.default_rng(0), primitive_set("list-reverse")
    gold = {
        ("<literal>" if name == "literal" else name, arity): text
        for (name, arity), text in GOLD_PROGRAMS.items()
        if not name.endswith(TWIN)
    }
    learned = {(model.lexicon.symbols[key.symbol], key.arity): entry for key, entry in model.lexicon.entries.items()}
    separator = learned.pop((",", 0))
    assert to_text(separator.program) == "empty"
    assert learned.keys() == gold.keys()
    for (name, arity), text in gold.items():
        program = parse_program(text, primitives, arity)
        for _ in range(20):
            arguments = [tuple(map(str, generator.integers(99, size=generator.integers(2, 7)))) for _ in range(arity)]
            assert executor.run(learned[name, arity].program, arguments, "A1") == executor.run(program, arguments, "A1")
    return True


def test_letters_never_seen_just_work(model):
    assert model.predict(["append swap_first_last X998 X999 Y77 , echo Z21 Z22"]) == [
        ("Y77", "X999", "X998", "Z21", "Z22", "Z22")
    ]
    assert model.deduce("repeat Q99 Q98").symbols == ("repeat", "<literal>", "<literal>")


def test_inputs_ten_times_deeper_are_exact(model):
    examples = deep(300, 3, np.random.default_rng(0), 500)
    assert model.predict(examples.inputs) == list(examples.outputs)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(model):
    sentences = generate(1_000, np.random.default_rng(0))
    again = nsr.NSR("list-reverse", task=make_task("pcfg"), seed=0, **make_task("pcfg").settings)
    again.fit(sentences, [meaning(sentence) for sentence in sentences])
    assert again.files() == model.files()


@pytest.mark.slow
def test_what_is_told_is_recorded():
    metrics = nsr.train("pcfg", seed=0, fraction=0.01).metrics
    told = {"literals": True, "separators": ",", "between": True, "arity": "learned", "semantics": "learned"}
    assert told.items() <= metrics["assumptions"].items()
    assert nsr.train("scan", max_tokens=3).metrics["assumptions"]["literals"] is False


@pytest.mark.slow
@pytest.mark.parametrize("split", ["pcfgset", "systematicity", "productivity"])
def test_a_tenth_of_the_data_solves_the_official_tests(split, data_dir):
    model = nsr.train("pcfg", split=split, seed=0, data_dir=data_dir)
    assert model.metrics["test"]["accuracy"] == HUNDRED
    assert holds_just_the_gold_programs(model)
    assert examine(model, "localism")["value"] == HUNDRED


@pytest.mark.slow
@pytest.mark.parametrize("split", ["substitutivity_equal", "substitutivity_primitive"])
def test_synonyms_are_interchangeable(split, data_dir):
    assert examine(nsr.train("pcfg", split=split, data_dir=data_dir), "substitutivity")["value"] == HUNDRED


@pytest.mark.slow
def test_exceptions_do_not_spoil_the_rule(data_dir):
    model = nsr.train("pcfg", split="overgeneralisation", exceptions=0.5, data_dir=data_dir)
    assert model.metrics["test"]["accuracy"] == HUNDRED
    assert examine(model, "overgeneralisation")["value"] == HUNDRED
    assert holds_just_the_gold_programs(model)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["syntax", "semantics"])
def test_with_one_module_given_the_other_is_learned(given):
    sentences = generate(1_000, np.random.default_rng(0))
    task = make_task("pcfg")
    learner = nsr.NSR(task.primitives, task=task, seed=0, **task.settings, **{given: "given"})
    learner.fit(sentences, [meaning(sentence) for sentence in sentences])
    others = generate(200, np.random.default_rng(1))
    assert learner.predict(others) == [meaning(sentence) for sentence in others]


def test_programs_with_a_primitive_that_is_not_there_are_not_given():
    task = make_task("pcfg", reverse=False)
    with pytest.raises(ConfigError, match="pcfg cannot give the semantics"):
        nsr.NSR(task.primitives, task=task, semantics="given").fit([("copy", "A1")], [("A1",)])
