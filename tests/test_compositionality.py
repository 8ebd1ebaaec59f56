"""The tests of Hupkes et al.: what training is changed, and what each test says of models that are known."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from nsr.cli.main import main
from nsr.errors import ConfigError, InputError
from nsr.experiment import examine
from nsr.tasks import Examples, Pcfg, Scan, pcfg
from nsr.tasks.compositionality import (
    EXCEPTIONS,
    TESTS,
    add_exceptions,
    add_primitive_twins,
    localism,
    overgeneralisation,
    substitutivity,
    swap_in_twins,
)
from nsr.tasks.string_edits import ARITY, TWIN, TWINS, count_functions, generate, meaning


def split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def examples_of(*texts: str) -> Examples:
    inputs = tuple(map(split, texts))
    return Examples(inputs, tuple(map(meaning, inputs)))


def oracle(inputs) -> list[tuple[str, ...]]:
    """A model that is always right."""
    return [meaning(tokens) for tokens in inputs]


def mute(inputs) -> list[None]:
    """A model that never answers."""
    return [None for _ in inputs]


def plain(tokens) -> tuple[str, ...]:
    """An input without synonyms."""
    return tuple(token.removesuffix(TWIN) for token in tokens)


def neighbours(tokens) -> list[tuple[str, str]]:
    return [(tokens[i], tokens[i + 1]) for i in range(len(tokens) - 1)]


@pytest.fixture(scope="module")
def train() -> Examples:
    inputs = tuple(generate(5000, np.random.default_rng(0)))
    return Examples(inputs, tuple(map(meaning, inputs)))


# Training


def test_synonyms_take_the_place_of_half_of_the_functions(train):
    changed = swap_in_twins(train, np.random.default_rng(0))
    assert changed.outputs == train.outputs
    assert tuple(map(plain, changed.inputs)) == train.inputs
    assert all(meaning(tokens) == output for tokens, output in changed)
    words = Counter(token for tokens in changed.inputs for token in tokens)
    for name in TWINS:
        assert words[name + TWIN] / (words[name] + words[name + TWIN]) == pytest.approx(0.5, abs=0.05)
    assert any(name in tokens and name + TWIN in tokens for tokens in changed.inputs for name in TWINS)
    assert changed == swap_in_twins(train, np.random.default_rng(0))
    assert changed != swap_in_twins(train, np.random.default_rng(1))


def test_primitive_synonyms_are_the_only_functions_of_their_inputs(train):
    changed = add_primitive_twins(train, np.random.default_rng(0))
    assert changed.take(range(len(train))) == train
    added = changed.take(range(len(train), len(changed)))
    assert Counter(tokens[0] for tokens in added.inputs) == {name + TWIN: 5 for name in TWINS}  # 0.1% of 5000
    assert all(count_functions(tokens) == 1 and meaning(tokens) == output for tokens, output in added)


@pytest.mark.parametrize(
    ("text", "rule", "exception"),
    [
        ("reverse echo A1 B1 C1", "C1 C1 B1 A1", "A1 B1 C1 C1"),
        ("prepend remove_first A1 , B1 , C1", "C1 B1", "A1 B1"),
        ("echo remove_first A1 , B1 C1", "B1 C1 C1", "A1 B1 C1"),
        ("prepend reverse A1 B1 , C1", "C1 B1 A1", "A1 B1 B1"),
    ],
)
def test_exceptions_are_those_of_the_paper(text, rule, exception):
    """Table 6 of the paper."""
    others = ["prepend copy remove_first A1 , B1 , C1", "reverse copy echo A1 B1"]
    _, chosen = add_exceptions(examples_of(text, *others * 2), 100, np.random.default_rng(0))
    (found,) = (each for each in chosen if each.tokens == split(text))
    assert (found.rule, found.exception) == (split(rule), split(exception))


@pytest.mark.parametrize("percent", [0.01, 0.1, 1])
def test_exceptions_replace_all_examples_of_their_functions(train, percent):
    changed, chosen = add_exceptions(train, percent, np.random.default_rng(0))
    kept = [(tokens, output) for tokens, output in train if not set(neighbours(tokens)) & set(EXCEPTIONS)]
    assert list(changed)[: len(kept)] == kept
    assert list(changed)[len(kept) :] == [(each.tokens, each.exception) for each in chosen]
    assert all(each.rule == meaning(each.tokens) != each.exception for each in chosen)
    for pair in EXCEPTIONS:
        of_pair = [each for each in chosen if pair in neighbours(each.tokens)]
        rarer = min(sum(name in tokens for tokens in train.inputs) for name in pair)
        count = max(1, round(percent / 100 * rarer))
        assert len(of_pair) == count
        nested = [each for each in of_pair if each.tokens in set(train.inputs)]
        assert len(nested) == count // 2
        assert all(
            each.tokens[:2] == pair and count_functions(each.tokens) == 2 for each in of_pair[: -len(nested) or None]
        )
    assert (changed, chosen) == add_exceptions(train, percent, np.random.default_rng(0))


def test_a_part_of_an_input_has_an_exceptional_meaning():
    text = "copy append reverse echo A1 B1 , C1"
    others = ["reverse A1", "echo B1"] * 10
    changed, chosen = add_exceptions(examples_of(text, *others), 20, np.random.default_rng(0))
    assert split("A1 B1 B1 C1") in changed.outputs
    assert split(text) in [each.tokens for each in chosen]


# Tests


def test_an_oracle_passes_all_tests_but_the_one_that_wants_exceptions(train):
    test = train.take(range(300))
    for name in ("systematicity", "productivity", "substitutivity", "localism"):
        found = TESTS[name](oracle, test)
        assert (found["test"], found["value"]) == (name, 100.0)
    _, exceptions = add_exceptions(train, 1, np.random.default_rng(0))
    found = overgeneralisation(oracle, exceptions)
    assert (found["value"], found["memorised"], found["count"]) == (100.0, 0.0, len(exceptions))


def test_a_model_that_does_not_answer_passes_none(train):
    test = train.take(range(50))
    for name in ("systematicity", "productivity", "substitutivity", "localism"):
        found = TESTS[name](mute, test)
        assert all(value == 0 for key, value in found.items() if key not in ("test", "measure", "count"))


def test_accuracy_is_also_that_of_each_pair():
    test = examples_of("repeat remove_second A1 , B1", "copy repeat remove_second A1 , B1", "copy A1 B1")
    pairs = [("repeat", "remove_second"), ("copy", "repeat"), ("swap_first_last", "repeat")]

    def model(inputs):
        return [meaning(tokens) if tokens[0] == "copy" else split("A1") for tokens in inputs]

    found = TESTS["systematicity"](model, test, pairs)
    assert found == {
        "test": "systematicity",
        "measure": "accuracy",
        "value": 66.6667,
        "count": 3,
        "repeat remove_second": 50.0,
        "copy repeat": 100.0,
    }


def test_substitutivity_compares_outputs_whether_right_or_wrong():
    test = examples_of("append repeat A1 , repeat B1", "copy A1 B1", "swap_first_last A1 B1", "append A1 , B1")

    def model(inputs):
        """Reads no swap_first_last, and append's synonym as prepend."""
        answers = []
        for tokens in inputs:
            known = tuple({"append_twin": "prepend"}.get(token, token) for token in tokens)
            wrong = any(token.startswith("swap") for token in tokens)
            answers.append(split("A1") if wrong else meaning(known))
        return answers

    assert substitutivity(model, test) == {
        "test": "substitutivity",
        "measure": "consistency",
        "value": 50.0,  # repeat and swap_first_last, but append twice
        "count": 4,
        "both right": 25.0,
        "consistent if wrong": 33.3333,
        "swap_first_last": 100.0,
        "repeat": 100.0,
        "append": 0.0,
    }


def test_substitutivity_replaces_all_occurrences_of_one_function():
    asked = []

    def model(inputs):
        asked.extend(inputs)
        return oracle(inputs)

    substitutivity(model, examples_of("append repeat A1 , repeat B1"))
    assert asked[1:] == [split("append repeat_twin A1 , repeat_twin B1"), split("append_twin repeat A1 , repeat B1")]


def test_localism_asks_for_one_function_at_a_time(train):
    batches = []

    def model(inputs):
        batches.append(list(inputs))
        return oracle(inputs)

    test = train.take(range(100))
    assert localism(model, test)["value"] == 100.0
    assert batches[0] == list(test.inputs)
    assert all(count_functions(tokens) == 1 for batch in batches[1:] for tokens in batch)
    batches.clear()
    localism(model, examples_of("echo append C1 , prepend B1 , A1"))
    assert batches[1:] == [[split("prepend B1 , A1")], [split("append C1 , A1 B1")], [split("echo C1 A1 B1")]]


def test_localism_compares_outputs_whether_right_or_wrong():
    test = examples_of("copy copy A1 B1", "copy repeat A1 B1", "echo A1 B1", "copy append A1 , repeat B1")

    def model(inputs):
        """Reads nothing of more than three literals, and echo as copy."""
        answers = []
        for tokens in inputs:
            known = tuple("copy" if token == "echo" else token for token in tokens)
            literals = [token for token in tokens if token not in ARITY and token != ","]
            answers.append(meaning(known) if len(literals) <= 3 else None)
        return answers

    assert localism(model, test) == {
        "test": "localism",
        "measure": "consistency",
        "value": 75.0,
        "count": 4,
        "right": 75.0,
        "right by steps": 50.0,
    }


@pytest.mark.parametrize("answer", [(), split("copy A1"), split("a , b")])
def test_what_is_not_a_string_ends_the_steps(answer):
    asked = []

    def model(inputs):
        asked.extend(inputs)
        return [answer] * len(inputs)

    assert localism(model, examples_of("copy append A1 , reverse B1"))["value"] == 0
    assert asked[1:] == [split("reverse B1")]


def test_overgeneralisation_tells_rules_from_memory(train):
    changed, exceptions = add_exceptions(train, 1, np.random.default_rng(0))
    memory = dict(changed)
    count = len(exceptions)
    assert overgeneralisation(lambda inputs: [memory[tokens] for tokens in inputs], exceptions) == {
        "test": "overgeneralisation",
        "measure": "overgeneralised",
        "value": 0.0,
        "count": count,
        "memorised": 100.0,
    }
    half = {each.tokens for each in exceptions[::2]}
    found = overgeneralisation(
        lambda inputs: [memory[tokens] if tokens in half else split("A1") for tokens in inputs], exceptions
    )
    assert (found["value"], found["memorised"]) == (0.0, round(100 * len(half) / count, 4))


# The task


@pytest.fixture
def small(monkeypatch) -> None:
    """Few examples, to save time."""
    monkeypatch.setattr(pcfg, "TRAIN", 2000)
    monkeypatch.setattr(pcfg, "TEST", 200)


@pytest.mark.parametrize(
    ("split", "size"),
    [("substitutivity_equal", 2000), ("substitutivity_primitive", 2008), ("overgeneralisation", None)],
)
def test_splits_change_the_training_of_pcfgset_alone(small, split, size):
    base, data = Pcfg().load("pcfgset", seed=3), Pcfg().load(split, seed=3)
    assert data.test == base.test
    assert data.train != base.train
    assert len(data.train) == size if size else len(data.train) < len(base.train)
    assert data.source.startswith(base.source)
    assert data == Pcfg().load(split, seed=3)


def test_the_authors_examples_are_changed_alike(data_dir):
    base, data = (Pcfg().load(name, data_dir=data_dir) for name in ("pcfgset", "substitutivity_equal"))
    assert tuple(map(plain, data.train.inputs)) == base.train.inputs != data.train.inputs
    assert data.test == base.test


TRAINED_ON = {
    "systematicity": "systematicity",
    "productivity": "productivity",
    "substitutivity": "substitutivity_primitive",
    "localism": "productivity",
    "overgeneralisation": "overgeneralisation",
}


@pytest.mark.parametrize(("name", "trained"), TRAINED_ON.items())
def test_the_task_has_all_five_tests(small, name, trained):
    task = Pcfg(exceptions=2.0)
    found = task.examine(name, oracle, split=trained, seed=1)
    assert (found["test"], found["value"]) == (name, 100.0)
    test = task.load(trained, seed=1).test
    assert found["count"] == (
        sum(twin in tokens for tokens in test.inputs for twin in TWINS)
        if name == "substitutivity"
        else len(add_exceptions(task.load("pcfgset", seed=1).train, 2.0, np.random.default_rng([1, 1]))[1])
        if name == "overgeneralisation"
        else len(test)
    )


def test_exceptions_tested_are_those_trained(small):
    task = Pcfg(exceptions=2.0)
    trained = dict(task.load("overgeneralisation", seed=5).train)
    found = task.examine(
        "overgeneralisation", lambda asked: [trained[each] for each in asked], split="overgeneralisation", seed=5
    )
    assert (found["value"], found["memorised"]) == (0.0, 100.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "systematicity",
            "needs a model trained on split systematicity, not 'pcfgset'; train one: nsr train pcfg --split ",
        ),
        ("substitutivity", "needs a model trained on split substitutivity_equal or substitutivity_primitive, not "),
        (
            "overgeneralisation",
            "needs a model trained on split overgeneralisation, not 'pcfgset'; train one: nsr train ",
        ),
    ],
)
def test_a_test_needs_a_model_trained_for_it(name, message):
    with pytest.raises(ConfigError) as error:
        Pcfg().examine(name, oracle, split="pcfgset")
    assert str(error.value).startswith(f"test {name!r} {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("task", "known"),
    [(Pcfg(), "systematicity, productivity, substitutivity, localism, overgeneralisation"), (Scan(), "none")],
)
def test_an_unknown_test_is_refused(task, known):
    with pytest.raises(ConfigError, match=f"^{task.name} has no test 'hop'; known tests: {known}$"):
        task.examine("hop", oracle, split=task.default_split)


# From the command line, with the oracle as the model


@pytest.fixture
def model(small, monkeypatch) -> SimpleNamespace:
    """A model of the run RUN."""
    metrics = {"split": "pcfgset", "data_dir": None}
    made = SimpleNamespace(task=Pcfg(), predict=oracle, seed=7, metrics=metrics)
    monkeypatch.setattr("nsr.experiment.load_and_tell", lambda folder, tell: made)
    return made


def test_examine_uses_the_data_of_the_run(model, tmp_path):
    assert examine(model, "localism")["count"] == 200
    model.metrics["data_dir"] = str(tmp_path)
    with pytest.raises(Exception, match=r"test\.src does not exist"):
        examine(model, "localism")
    model.task = None
    with pytest.raises(ConfigError, match="this model was not trained on a task"):
        examine(model, "localism")


def test_a_word_the_model_does_not_know_is_named(model):
    def predict(inputs):
        raise InputError("unknown word 'append_twin' at position 1")

    model.predict = predict
    with pytest.raises(InputError, match="unknown word"):
        examine(model, "localism")


def test_evaluate_prints_the_figures_of_a_test(model, capsys):
    assert main(["evaluate", "RUN", "--test", "localism", "--json"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == examine(model, "localism")
    assert [line.split() for line in table] == [
        ["consistency", "100.00%"],
        ["examples", "200"],
        ["right", "100.00%"],
        ["right", "by", "steps", "100.00%"],
    ]


def test_evaluate_refuses_what_is_neither_a_test_nor_a_file(model, capsys, tmp_path):
    assert main(["evaluate", "RUN", "--test", "local"]) != 0
    assert capsys.readouterr().err == (
        "nsr: local is neither a file nor a test; tests of this model's task: "
        "systematicity, productivity, substitutivity, localism, overgeneralisation\n"
    )
    assert main(["evaluate", "RUN", "--test", "systematicity"]) != 0
    assert "nsr: test 'systematicity' needs a model trained on split systematicity" in capsys.readouterr().err
    assert main(["evaluate", "RUN", "--test", "localism", "--data-dir", str(tmp_path)]) != 0
    assert "test.src does not exist" in capsys.readouterr().err
