"""A language of strings, learned from a few hundred examples: new letters, longer inputs, errors in outputs."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from terms import REVERSING, interpret

import nsr
from nsr.errors import ConfigError, InputError, RunError
from nsr.experiment import Run
from nsr.semantics.lexicon import Signature
from nsr.semantics.notation import parse_program
from nsr.semantics.values import EMPTY
from nsr.tasks import TASKS
from nsr.tasks.task import LITERAL, Dataset, Examples, Task

UNARY = {
    "copy": lambda letters: letters,
    "reverse": lambda letters: letters[::-1],
    "repeat": lambda letters: letters + letters,
}
GOLD = {
    ("copy", 1): "x0",
    ("reverse", 1): "(reverse x0)",
    ("repeat", 1): "(append x0 x0)",
    ("append", 2): "(append x0 x1)",
}
KNOWN, UNSEEN = ([f"{name}{index}" for index in range(12)] for name in "AB")


def phrase(generator, letters, depth, longest):
    """A random input in prefix notation and its output."""
    if depth == 0 or generator.random() < 0.25:
        string = tuple(generator.choice(letters, generator.integers(1, longest + 1)).tolist())
        return string, string
    function = str(generator.choice(["append", *UNARY]))
    words, value = phrase(generator, letters, depth - 1, longest)
    if function in UNARY:
        return (function, *words), UNARY[function](value)
    others, other = phrase(generator, letters, depth - 1, longest)
    return (function, *words, ",", *others), value + other


def examples(seed, letters=KNOWN, count=300, depth=2, longest=3):
    """Distinct inputs that begin with a function, and their outputs."""
    generator, found = np.random.default_rng(seed), {}
    while len(found) < count:
        words, value = phrase(generator, letters, depth, longest)
        if words[0] not in letters:
            found[words] = value
    return list(found), list(found.values())


def learn(inputs, outputs, seed=0, **settings):
    return nsr.NSR("list-reverse", literals=True, separators=",", seed=seed, **settings).fit(inputs, outputs)


def check_programs(model):
    """The lexicon holds the right functions, each in one place, and what was given; nothing else."""
    lexicon = model.lexicon
    entries = {(lexicon.symbols[key.symbol], key.arity): entry for key, entry in lexicon.entries.items()}
    assert entries.keys() == {*GOLD, (",", 0), (LITERAL, 0), (LITERAL, 1)}
    strings = [(), ("p",), ("p", "q"), ("q", "r", "s", "p")]
    for (name, arity), text in GOLD.items():
        gold, found = parse_program(text, REVERSING, arity), entries[name, arity]
        assert found.signatures == {Signature(0, 1) if arity == 1 else Signature(0, 3, (1,))}
        for first in strings:
            for second in strings:
                assert interpret(found.program, (first, second)) == interpret(gold, (first, second)), name
    executor = model.modules.executor
    assert executor.run(entries[",", 0].program, []) is EMPTY
    assert executor.run(entries[LITERAL, 1].program, [("p",)], "q") == ("q", "p")


@pytest.fixture(scope="module")
def model():
    return learn(*examples(0))


def test_letters_never_seen_in_longer_inputs(model):
    inputs, outputs = examples(1000, UNSEEN, depth=3, longest=5)
    longest = max(map(len, examples(0)[0]))
    assert sum(len(words) > longest for words in inputs) > 20
    assert model.predict(inputs) == outputs
    check_programs(model)


@pytest.mark.parametrize("settings", [{"between": False}, {"oracle": "early"}, {"embed": "identity"}], ids=str)
def test_also_with_other_settings(settings):
    inputs, outputs = examples(1000, UNSEEN, depth=3, longest=5)
    model = learn(*examples(1), **settings)
    assert model.predict(inputs) == outputs
    check_programs(model)


def test_the_tree_behind_an_answer(model):
    found = model.deduce("append reverse U V , W")
    assert found.symbols == ("append", "reverse", LITERAL, LITERAL, ",", LITERAL)
    assert found.heads.tolist() == [-1, 0, 1, 2, 0, 0]
    assert found.values == (("V", "U", "W"), ("V", "U"), ("U", "V"), ("V",), EMPTY, ("W",))
    assert found.programs[2:] == ("(cons self x0)", "(cons self nil)", "empty", "(cons self nil)")


def test_what_is_no_sentence_has_no_answer(model):
    assert model.predict(["append U V", ", U", ",", "U copy", "append U , V , W"]) == [None] * 5


def test_what_was_learned_survives_the_disk(model, tmp_path):
    model.save(tmp_path / "run")
    restored = nsr.load(tmp_path / "run")
    inputs, _ = examples(2000, UNSEEN, depth=3, longest=5)
    wrong = [("append", "U", "V"), ("U", "copy"), (",",)]
    assert restored.predict([*inputs, *wrong]) == model.predict([*inputs, *wrong])
    assert restored.lexicon.to_text() == model.lexicon.to_text()
    assert restored.modules.perception.symbols == model.modules.perception.symbols
    assert restored.modules.parser.grammar.between
    assert restored.config == model.config
    check_programs(restored)


def test_an_edited_lexicon_takes_effect(model, tmp_path):
    model.save(tmp_path / "run")
    path = tmp_path / "run" / "lexicon.nsr"
    text = path.read_text()
    assert '"append" x0 _ x1 = (append x0 x1)' in text
    path.write_text(text.replace("(append x0 x1)", "(append x1 x0)"))
    assert nsr.load(tmp_path / "run").predict(["append U V , W"]) == [("W", "U", "V")]
    assert model.predict(["append U V , W"]) == [("U", "V", "W")]


def with_errors(inputs, outputs, seed=0):
    """The examples with other outputs in 3% of them."""
    generator, wrong = np.random.default_rng(seed), list(outputs)
    for index in generator.choice(len(inputs), round(0.03 * len(inputs)), replace=False):
        wrong[index] = tuple(generator.permutation([*outputs[index], "A0"]).tolist())
    return inputs, wrong


@pytest.mark.parametrize("seed", range(2))
def test_errors_in_outputs_do_not_hide_the_programs(seed):
    inputs, outputs = examples(seed, count=200)
    _, wrong = with_errors(inputs, outputs, seed)
    assert sum(one != other for one, other in zip(wrong, outputs, strict=True)) == 6
    model = learn(inputs, wrong, seed)
    assert model.predict(inputs) == outputs
    check_programs(model)


class Strings(Task):
    """The language as a task, with errors, so that learning takes several rounds."""

    name = "strings"
    splits = ("all",)
    default_split = "all"
    primitives = "list-reverse"
    settings = MappingProxyType({"literals": True, "separators": ","})

    def load(self, split, *, seed=0, data_dir=None):
        train, test = with_errors(*examples(seed, count=100)), examples(1000, UNSEEN, count=20)
        return Dataset(*(Examples(*map(tuple, part)) for part in (train, test)), "generated")

    def encode(self, text):
        return tuple(text.split())


class Stop(Exception):
    """Ends a run right after a checkpoint."""


def test_a_resumed_run_is_the_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "strings", Strings)
    settings = {"rounds": 3, "checkpoint_seconds": 0}
    model = nsr.train("strings", out=tmp_path / "undisturbed", **settings)
    assert model.metrics["test"]["accuracy"] == 100.0
    assert model.metrics["assumptions"]["literals"] is True
    rounds = len((tmp_path / "undisturbed" / "history.jsonl").read_text().splitlines())
    assert rounds > 3
    save = Run.save

    def save_and_stop(self, *state):
        save(self, *state)
        raise Stop

    monkeypatch.setattr(Run, "save", save_and_stop)
    for done in range(rounds):
        with pytest.raises(Stop):
            nsr.train("strings", out=tmp_path / "resumed", resume=done > 0, **settings)
    monkeypatch.setattr(Run, "save", save)
    nsr.train("strings", out=tmp_path / "resumed", resume=True, **settings)
    for name in ("config.json", "vocabulary.json", "lexicon.nsr", "grammar.json", "parser.safetensors"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), name


class Unseen(Strings):
    """With words in the test that training lacks, and nothing told."""

    settings = MappingProxyType({})


def test_words_of_the_test_that_training_lacks_are_found_before_a_task_is_trained(monkeypatch):
    monkeypatch.setitem(TASKS, "strings", Unseen)
    monkeypatch.setattr(nsr.NSR, "fit", lambda *args: pytest.fail("was trained"))
    with pytest.raises(InputError, match=r"test pair \d+: no training input has the word"):
        nsr.train("strings")


def test_no_option_of_a_task_hides_a_setting_of_the_learner(monkeypatch):
    @dataclass(frozen=True)
    class Hiding(Unseen):
        rounds: int = 3

    monkeypatch.setitem(TASKS, "strings", Hiding)
    with pytest.raises(
        ConfigError, match="option 'rounds' of task 'strings' is also a setting of the learner; rename it"
    ):
        nsr.train("strings")


def test_without_literals_a_letter_never_seen_is_unknown():
    model = nsr.NSR("list-reverse", rounds=0).fit(*examples(0, KNOWN[:3], count=20))
    assert model.constants == tuple(KNOWN[:3])
    with pytest.raises(InputError, match="unknown word 'B0' at position 2"):
        model.predict(["copy B0"])


LARGEST = 10**18 - 1


@pytest.mark.parametrize(
    ("primitives", "output"),
    [
        *(("list", output) for output in ([1], 1, [["A"]], None)),
        *(("int", output) for output in (-1, "1", 1.5, True, LARGEST + 1, 10**30, [1], np.True_)),
    ],
)
def test_outputs_that_are_no_values_are_refused(primitives, output):
    first = {"list": ["A"], "int": 1}[primitives]
    with pytest.raises(InputError, match=r"^pair 2: the output must be "):
        nsr.NSR(primitives).fit(["a", "b"], [first, output])


@pytest.mark.parametrize("outputs", [np.array([1, 2]), [0, LARGEST]])
def test_numbers_that_are_values_are_kept_on_disk(outputs, tmp_path):
    model = nsr.NSR("int").fit(["a", "b"], outputs)
    model.save(tmp_path / "run")
    assert nsr.load(tmp_path / "run").predict(["a", "b"]) == list(outputs)


def test_what_cannot_be_learned_from_is_said():
    with pytest.raises(InputError, match="1 inputs but 0 outputs; give one output for each input"):
        nsr.NSR().fit(["a"], [])
    with pytest.raises(InputError, match="no examples to learn from"):
        nsr.NSR().fit([], [])
    with pytest.raises(RunError, match="this model has learned nothing yet; call fit first"):
        nsr.NSR().predict(["a"])


def test_one_sentence_is_no_list_of_sentences(model):
    for ask in (model.predict, model.predict_top, lambda inputs: nsr.NSR("list").fit(inputs, "AB")):
        with pytest.raises(InputError, match=r"^'ab' is one sentence; give a list of sentences$"):
            ask("ab")


def test_what_does_not_fit_another_network_is_said(model):
    files = model.files()
    config = json.loads(files["config.json"])
    config["settings"]["parser"]["hidden"] = 32
    files["config.json"] = json.dumps(config).encode()
    with pytest.raises(RunError, match=r"TransitionScorer: size mismatch for \w+: .*; train again$"):
        nsr.NSR.of_files(files, Path("run"), lambda name: None)
