"""The baselines: they learn, repeat themselves, go on where they were stopped, and say what is wrong with input."""

import copy
import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch

from nsr.baselines import experiment, training
from nsr.baselines.experiment import spelled
from nsr.baselines.presets import MODELS, SIZES, make_network, preset
from nsr.baselines.recurrent import Recurrent, RecurrentConfig
from nsr.baselines.seq2seq import (
    MARK,
    Network,
    NetworkConfig,
    Vocabulary,
    encode_inputs,
    length_batches,
    make_optimizer,
    pad,
    solved,
    train_epoch,
)
from nsr.baselines.training import Limits, NetworkTrainer, Progress, Trainer, split_off_validation
from nsr.baselines.transformer import TransformerConfig, sinusoids
from nsr.cli.main import main
from nsr.errors import ConfigError, DataError, InputError
from nsr.experiment import drawn_examples
from nsr.model import NSR
from nsr.reports import baselines
from nsr.reports.baselines import BaselineTable, Contest
from nsr.reports.pool import Runs
from nsr.tasks import TASKS, Dataset
from nsr.tasks.task import Examples, Tokens

SMALL = RecurrentConfig(layers=1, hidden=48, dropout=0.1, batch=16, learning_rate=5e-3)
SMALL_TRANSFORMER = TransformerConfig(
    layers=2, hidden=32, dropout=0.0, batch=16, learning_rate=3e-3, heads=4, feedforward=64, clip=1.0
)
EPOCHS = {"lstm": 60, "gru": 60, "transformer": 90, "transformer-relative": 40, "universal": 40}  # enough to learn


def copy_and_reverse() -> Examples:
    """52 pairs of 2 to 5 words: ``copy a b`` gives ``a b``, ``reverse a b`` gives ``b a``."""
    letters = random.Random(0)
    strings = [tuple(letters.choices("abcd", k=length)) for length in (1, 2, 3, 4) for _ in range(12)]
    strings = sorted(set(strings))[:26]
    inputs = [(verb, *string) for string in strings for verb in ("copy", "reverse")]
    outputs = [string[:: 1 if verb == "copy" else -1] for verb, *string in inputs]
    return Examples(tuple(inputs), tuple(map(tuple, outputs)))


def small(name: str) -> NetworkConfig:
    """A small network of this kind."""
    kind = MODELS[name]
    return replace(SMALL if kind.network is Recurrent else SMALL_TRANSFORMER, **kind.settings)


def trained(
    examples: Examples, seed: int, epochs: int, name: str = "lstm", config: NetworkConfig | None = None
) -> tuple[Network, list[float]]:
    generator = torch.Generator().manual_seed(seed)
    model = make_network(name, config or small(name), examples, generator)
    optimizer = make_optimizer(model)
    return model, [train_epoch(model, optimizer, examples, generator) for _ in range(epochs)]


@torch.inference_mode()
def predict(model: Network, inputs: Sequence[Tokens], longest: int = 12) -> list[Tokens]:
    """The output of each input, written word by word: the likeliest, up to the end mark."""
    model.eval()
    outputs = []
    for sentence in inputs:
        encoded, written = model.encode(*pad([model.words_in.encode(sentence)])), [MARK]
        while len(written) <= longest:
            word = int(model.decode(torch.tensor([written]), encoded)[0, -1].argmax())
            if word == MARK:
                break
            written.append(word)
        outputs.append(tuple(model.words_out.words[word - 1] for word in written[1:]))
    return outputs


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads, and lose much when the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return copy_and_reverse()


@pytest.fixture(scope="module", params=MODELS)
def name(request) -> str:
    """Each baseline."""
    return request.param


@pytest.fixture(scope="module")
def untrained(examples, name) -> Network:
    return trained(examples, 0, 0, name)[0]


@pytest.fixture(scope="module")
def learned(examples, name) -> Network:
    return trained(examples, 0, EPOCHS[name], name)[0]


def test_learns_to_copy_and_reverse(examples, learned, untrained):
    assert len(examples) == 52
    assert sum(solved(untrained, examples)) < 0.1 * len(examples)
    assert all(solved(learned, examples))
    assert predict(learned, [examples.inputs[7]]) == [examples.outputs[7]]


def test_same_seed_same_model(examples, name):
    config = replace(small(name), dropout=0.3)
    first, first_losses = trained(examples, 3, 2, name, config)
    torch.rand(5)  # the global generator has moved on
    second, second_losses = trained(examples, 3, 2, name, config)
    _, other_losses = trained(examples, 4, 2, name, config)
    assert first_losses == second_losses
    assert first_losses != other_losses
    for part, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[part])


def test_global_generator_is_left_alone(examples):
    before = torch.get_rng_state()
    model, _ = trained(examples, seed=0, epochs=1)
    solved(model, examples)
    assert torch.equal(torch.get_rng_state(), before)


def test_padding_changes_no_logit(untrained):
    """A mixed batch, whose inputs are packed, against each sentence alone, which is not."""
    untrained.eval()
    inputs = [[1, 2, 3, 4, 5], [2], [3, 1, 2]]
    outputs = [[0, 1, 2], [0, 3, 3], [0, 2, 1]]
    with torch.no_grad():
        together = untrained.decode(torch.tensor(outputs), untrained.encode(*pad(inputs)))
        assert together.shape == (3, 3, len(untrained.words_out))
        for row in range(3):
            alone = untrained.decode(torch.tensor([outputs[row]]), untrained.encode(*pad([inputs[row]])))
            torch.testing.assert_close(together[row], alone[0])


def test_no_word_sees_those_behind_it(untrained):
    untrained.eval()
    inputs = pad([[1, 2, 3], [2, 5]])
    with torch.no_grad():
        first = untrained.decode(torch.tensor([[0, 1, 2, 3], [0, 3, 3, 3]]), untrained.encode(*inputs))
        other = untrained.decode(torch.tensor([[0, 1, 4, 4], [0, 3, 1, 2]]), untrained.encode(*inputs))
    torch.testing.assert_close(first[:, :2], other[:, :2])
    assert not torch.isclose(first[:, 2:], other[:, 2:]).all(2).any()


def test_positions_matter(untrained):
    """In inputs and in outputs; otherwise "copy a b" would be "copy b a"."""
    untrained.eval()
    start = torch.tensor([[0, 1, 2], [0, 1, 2]])
    with torch.no_grad():
        by_input = untrained.decode(start, untrained.encode(*pad([[1, 2, 3], [1, 3, 2]])))
        start[1] = torch.tensor([1, 0, 2])
        by_output = untrained.decode(start, untrained.encode(*pad([[1, 2, 3], [1, 2, 3]])))
    assert not torch.allclose(by_input[0], by_input[1], atol=1e-4)
    assert not torch.allclose(by_output[0, 2], by_output[1, 2], atol=1e-4)


def test_layers_are_shared_by_the_universal_transformer_alone(examples):
    deep = {
        name: (trained(examples, 0, 0, name)[0], trained(examples, 0, 0, name, replace(small(name), layers=4))[0])
        for name in ("transformer", "transformer-relative", "universal")
    }
    sizes = {name: [sum(each.numel() for each in model.parameters()) for model in both] for name, both in deep.items()}
    assert sizes["universal"][0] == sizes["universal"][1]
    assert all(sizes[name][0] < sizes[name][1] for name in ("transformer", "transformer-relative"))
    shallow, deeper = deep["universal"]
    deeper.load_state_dict(shallow.state_dict())
    with torch.no_grad():
        first, other = (
            each.eval().decode(torch.tensor([[0]]), each.encode(*pad([[1, 2]]))) for each in (shallow, deeper)
        )
    assert not torch.allclose(first, other)


def test_what_is_solved_is_what_is_predicted_exactly(examples, name):
    model, _ = trained(examples, 0, EPOCHS[name] // 3, name)
    predictions = predict(model, examples.inputs)
    found = solved(model, examples)
    assert found == [each == wanted for each, wanted in zip(predictions, examples.outputs, strict=True)]
    assert found == [hit for row in range(len(examples)) for hit in solved(model, examples.take([row]))]


def test_words_a_network_lacks_make_an_example_unsolved(learned, examples):
    sentence, output = examples.inputs[0], examples.outputs[0]
    odd = Examples((sentence, (*sentence, "hop"), sentence, ()), (output, output, ("hop",), output))
    assert solved(learned, odd) == [True, False, False, False]


def test_attention_ignores_padding(untrained):
    untrained.eval()
    start = torch.tensor([[0], [0]])
    with torch.no_grad():
        encoded = untrained.encode(*pad([[1], [1, 1, 1]]))
        assert encoded.padding.tolist() == [[False, True, True], [False, False, False]]
        memory = encoded.memory.clone()
        memory[0, 1:] = 1e6
        logits = untrained.decode(start, encoded)
        same = untrained.decode(start, encoded._replace(memory=memory))
    torch.testing.assert_close(logits, same)


def test_first_loss_is_that_of_a_uniform_guess(examples):
    _, (loss,) = trained(examples, seed=0, epochs=1, config=RecurrentConfig(hidden=48, learning_rate=1e-9))
    assert loss == pytest.approx(torch.tensor(5.0).log().item(), rel=0.1)  # four letters and the end mark


def test_empty_outputs_are_learned(name):
    examples = Examples((("forget", "a"), ("keep", "a")) * 4, ((), ("a",)) * 4)
    model, _ = trained(examples, 0, 30, name)
    assert all(solved(model, examples))


def test_several_layers_work(examples):
    _, losses = trained(examples, seed=0, epochs=2, config=RecurrentConfig(layers=2, hidden=16))
    assert losses[1] < losses[0]


def test_unknown_word_is_an_input_error(untrained):
    with pytest.raises(InputError) as error:
        encode_inputs(untrained, [("copy", "a"), ("copy", "a", "hop")])
    assert str(error.value) == "unknown word 'hop' at position 3; known words: a, b, c, copy, d, reverse"


def test_long_vocabularies_are_cut_in_messages():
    words = Vocabulary.of([tuple(f"w{i:02}" for i in range(30))])
    with pytest.raises(InputError, match=r"w18, w19, \.\.\.$"):
        words.encode(("x",))


def test_empty_input_is_an_input_error(untrained):
    with pytest.raises(InputError, match="input 2 is empty"):
        encode_inputs(untrained, [("copy", "a"), ()])


def test_no_examples_is_a_data_error(untrained):
    with pytest.raises(DataError, match="no training examples"):
        train_epoch(untrained, make_optimizer(untrained), Examples((), ()), torch.Generator())


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (RecurrentConfig, {"layers": 0}),
        (RecurrentConfig, {"batch": -1}),
        (RecurrentConfig, {"dropout": 1.0}),
        (RecurrentConfig, {"clip": 0.0}),
        (RecurrentConfig, {"cell": "rnn"}),
        (TransformerConfig, {"heads": 0}),
        (TransformerConfig, {"feedforward": 0}),
        (TransformerConfig, {"decoder_layers": -1}),
        (TransformerConfig, {"hidden": 36}),
        (TransformerConfig, {"shared": True}),
    ],
)
def test_config_rejects_impossible_values(config, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        config(**wrong)


def test_sinusoids_are_those_of_the_definition():
    found = sinusoids(5, 8)
    for place in range(5):
        for pair in range(4):
            angle = place / 10_000 ** (2 * pair / 8)
            assert found[place, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert found[place, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("model", ["transformer-relative", "universal"])
def test_a_missing_library_is_named_with_its_extra(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "x_transformers", None)
    assert main(["train-baseline", "scan", "--model", model, "--split", "length"]) == 2
    assert capsys.readouterr().err.endswith("not installed: pip install nsr[baselines]\n")


# Training with limits


def trainer(examples: Examples, name: str = "lstm", seed: int = 5, **limits) -> NetworkTrainer:
    train, validation = split_off_validation(examples, seed)
    model = make_network(name, replace(small(name), dropout=0.2), examples, torch.Generator().manual_seed(seed))
    return NetworkTrainer(model, train, validation, Limits(**limits), seed)


class Killed(Exception):
    """What stops a training."""


@pytest.mark.parametrize("updates", [1, 6])
def test_going_on_from_a_checkpoint_is_as_if_nothing_had_happened(examples, name, updates):
    whole = trainer(examples, name, epochs=3)
    assert whole.fit() == "epochs"
    begun, kept = trainer(examples, name, epochs=3), {}

    def kill():
        if begun.progress.updates == updates:
            kept.update(begun.files())
            raise Killed

    with pytest.raises(Killed):
        begun.fit(kill)
    resumed = trainer(examples, name, epochs=3)
    resumed.restore(kept)
    assert resumed.fit() == "epochs"
    assert without_seconds(resumed.progress) == without_seconds(whole.progress)
    for part, weights in whole.model.state_dict().items():
        assert torch.equal(weights, resumed.model.state_dict()[part])


def without_seconds(progress: Progress) -> list[dict]:
    records = [*progress.history, progress.best, asdict(progress)]
    return [
        {key: value for key, value in each.items() if key not in ("seconds", "history", "best")} for each in records
    ]


def test_the_weights_tested_are_the_latest_of_the_best(examples, monkeypatch):
    answers, weights = iter([[False, True], [True, True], [True, True], [False, True]]), []
    found = trainer(examples, epochs=4)
    found.validation = examples.take([0, 1])

    def answer(model, validation):
        weights.append(copy.deepcopy(model.state_dict()))
        return next(answers)

    monkeypatch.setattr(training, "solved", answer)
    assert found.fit() == "epochs"
    assert [each["validation"] for each in found.progress.history] == [50, 100, 100, 50]
    assert found.progress.best == found.progress.history[2]
    assert all(torch.equal(each, weights[2][part]) for part, each in found.model.state_dict().items())
    assert not torch.equal(weights[2]["output.weight"], weights[3]["output.weight"])


def test_patience_ends_training(examples, monkeypatch):
    answers = iter([[False, False], [True, False], [True, False], [True, False], [True, True]])
    monkeypatch.setattr(training, "solved", lambda model, validation: next(answers))
    found = trainer(examples, epochs=9, patience=2)
    found.validation = examples.take([0, 1])
    assert found.fit() == "patience"
    assert [each["epoch"] for each in found.progress.history] == [1, 2, 3, 4]


def test_minutes_end_training_within_an_epoch(examples):
    found = trainer(examples, epochs=1000, minutes=1e-9)
    assert found.fit() == "minutes"
    assert (found.progress.updates, len(found.progress.history)) == (1, 1)
    assert 0 < found.progress.best["epoch"] < 1


def test_the_validation_part_is_drawn_by_seed_from_all_that_there_is(examples):
    train, validation = split_off_validation(examples, 0)
    assert (len(train), len(validation)) == (49, 3)
    assert sorted([*train, *validation]) == sorted(examples)
    assert list(validation) == list(split_off_validation(examples, 0)[1]) != list(split_off_validation(examples, 1)[1])
    with pytest.raises(DataError, match="at least two"):
        split_off_validation(examples.take([0]), 0)


def test_every_task_has_presets_of_both_sizes():
    for task in TASKS:
        for size in SIZES:
            for model in MODELS:
                found = preset(model, size, task)
                assert isinstance(found.config, RecurrentConfig if model in ("lstm", "gru") else TransformerConfig)
    assert preset("gru", "published", "hint").config.cell == "gru"
    assert preset("universal", "published", "pcfg").config.shared


# The command

WORDS = ["a", "b", "c", "d"]


@pytest.fixture
def pairs(tmp_path) -> list[str]:
    """Options of a small task of one's own, of lists or numbers."""
    lines = [
        f"{first} plus {second}\t{10 + 3 * x + y}" for x, first in enumerate(WORDS) for y, second in enumerate(WORDS)
    ]
    (tmp_path / "train.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "test.tsv").write_text("\n".join([*lines[:3], "a plus e\t7"]) + "\n")
    return [
        "pairs",
        "--train",
        str(tmp_path / "train.tsv"),
        "--test",
        str(tmp_path / "test.tsv"),
        "--primitives",
        "int",
    ]


def test_the_command_writes_what_came_of_it(pairs, tmp_path, capsys):
    command = ["train-baseline", *pairs, "--model", "gru", "--epochs", "3", "--seed", "4", "--json"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == metrics
    assert [metrics[each] for each in ("task", "seed", "model", "size", "stopped")] == [
        "pairs",
        4,
        "gru",
        "cpu",
        "epochs",
    ]
    assert metrics["test"]["count"] == 4
    assert metrics["test"]["answered"] == 75.0  # of "e" nothing is known
    assert metrics["train"] == {"available": 16, "used": 16, "learned_from": 15, "validation": 1}
    assert metrics["settings"]["hidden"] == 128
    assert (metrics["settings"]["epochs"], metrics["settings"]["minutes"]) == (3, None)
    assert 0 < metrics["seconds"]["final"] <= metrics["seconds"]["train"] < metrics["seconds"]["total"]
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [each["epoch"] for each in history] == [1, 2, 3]
    assert metrics["tested"] in history
    kept = ["history.jsonl", "manifest.json", "metrics.json"]
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == kept
    assert main([*command, "--out", str(tmp_path / "run"), "--resume"]) == 0  # it is finished
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == metrics


def test_the_command_goes_on_where_it_was_stopped(pairs, tmp_path, capsys, monkeypatch):
    command = ["train-baseline", *pairs, "--model", "lstm", "--epochs", "4", "--checkpoint-seconds", "0", "--out"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    validate, times = Trainer._validate, iter([False, False, True])

    def interrupt(self, share):
        if next(times):
            raise KeyboardInterrupt
        validate(self, share)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_validate", interrupt)
        assert main([*command, str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err.endswith("the same command with --resume continues\n")
    refused = [*command, str(tmp_path / "run"), "--resume"]
    refused[refused.index("lstm")] = "gru"
    assert main(refused) == 2
    assert "was begun with model = 'lstm', not 'gru'" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "run"), "--resume"]) == 0
    whole, resumed = (json.loads((tmp_path / each / "metrics.json").read_text()) for each in ("whole", "run"))
    for each in (whole, resumed):
        del each["seconds"], each["peak_memory_mb"], each["tested"]["seconds"]
    assert resumed == whole


def test_numbers_are_spelled_and_drawn_examples_are_those_of_the_learner():
    numbers = Examples((("1",), ("2",), ("3",)), (120, 0, 7))
    assert spelled(numbers).outputs == (("1", "2", "0"), ("0",), ("7",))
    model = NSR("int", seed=3, examples=2)
    for count in (3, 40):
        inputs = [(str(place),) for place in range(count)]
        drawn = drawn_examples(Examples(inputs, range(count)), 2, 3)
        assert list(drawn.outputs) == list(model._drawn(inputs))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("scan",), "nsr train-baseline: the following arguments are required: --model"),
        (("scan", "--model", "rnn"), "nsr: unknown model 'rnn'; known models: lstm, gru, transformer"),
        (("scan", "--model", "gru", "--size", "big"), "nsr: size must be one of cpu, published, not 'big'"),
        (("scan", "--model", "gru", "--epochs", "0"), "nsr: epochs must be at least 1, not 0"),
        (("scan", "--model", "gru", "--minutes", "0"), "nsr: minutes must be above 0, not 0"),
        (("scan", "--model", "gru", "--split", "odd"), "nsr: scan has no split 'odd'"),
        (("scan", "--model", "gru", "--input", "images"), "nsr: task 'scan' has no option 'input'"),
        (("scan", "--model", "gru", "--rounds", "3"), "nsr train-baseline: unknown option --rounds"),
        (("scan", "--model", "gru", "--resume"), "nsr: --resume needs --out RUN"),
        (("scan", "--model", "ablkit"), "nsr: ablkit reads the images of hint: nsr train-baseline hint --input images"),
        (("hint", "--model", "ablkit"), "nsr: ablkit reads the images of hint: nsr train-baseline hint --input images"),
        (
            ("hint", "--input", "images", "--model", "ablkit", "--size", "published"),
            "nsr: ablkit has hyperparameters of size cpu only, not 'published'",
        ),
    ],
)
def test_the_command_refuses(argv, message, capsys):
    assert main(["train-baseline", *argv]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_images_are_refused(monkeypatch):
    pictures = Dataset(*[Examples(("pictures",), (7,), (("7",),))] * 2, "drawn")
    task = SimpleNamespace(name="hint", default_split="hint", assumptions=dict, load=lambda split, **given: pictures)
    monkeypatch.setattr(experiment, "make_task", lambda name, **options: task)
    with pytest.raises(ConfigError, match="not images; leave out --input images"):
        experiment.train_baseline("hint", "gru")


@pytest.mark.parametrize("metrics", ['{"task": "scan"}', '{"run": 7}', "[]"])
def test_a_folder_with_something_in_it_is_left_alone(metrics, tmp_path, capsys):
    (tmp_path / "metrics.json").write_text(metrics)
    command = ["train-baseline", "scan", "--model", "gru", "--out", str(tmp_path)]
    for more, message in (([], "is not empty"), (["--resume"], "is no run of a baseline")):
        assert main([*command, *more]) == 2
        assert message in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.json"]


# The table


def test_the_table_has_a_row_for_each_model(monkeypatch, tmp_path):
    def results(examples):
        return {"train": {"used": examples or 16}, "assumptions": {"data": "generated"}}

    class Learner(Runs):
        def load(self, training):
            seconds = {"total": 9.0, "evaluate": 2.0}
            found = results(training.settings.get("examples"))
            return SimpleNamespace(metrics={**found, "test": {"accuracy": 50.0 + training.seed}, "seconds": seconds})

    def baseline(task, model, split, *, seed, size, minutes, data_dir, out, resume, examples=0):
        assert resume
        assert data_dir is None
        folders.append(out)
        return {
            **results(examples),
            "test": {"accuracy": 50.0 + seed},
            "size": size,
            "seconds": {"total": 99.0, "final": 60.0 + seed},
            "settings": {"minutes": minutes},
            "epochs": 2.5,
            "stopped": "minutes",
        }

    folders = []
    monkeypatch.setattr(baselines, "train_baseline", baseline)
    contests = Contest("scan", "length"), Contest("hint", "hint", 40_000, generated=True)
    table = BaselineTable("Contest", contests, ("lstm", "gru"))
    rows = table.measure([0, 1], None, Learner(tmp_path))
    assert [(row.label, row.model) for row in rows] == [
        (label, model) for label in ("scan length", "hint") for model in ("nsr", "lstm", "gru")
    ]
    assert table.to_markdown(rows).splitlines()[4:6] == [
        "| scan length | generated | nsr | | | 16 | 2 | 50.50 | 50.00 | 7.0 | 9.0 | | |",
        "| scan length | generated | lstm | cpu | 3 | 16 | 2 | 50.50 | 50.00 | 60.5 | 99.0 | 2.5 | minutes |",
    ]
    assert rows[3].examples == 40_000
    assert len(set(folders)) == 8


def test_of_images_the_table_says_how_well_each_is_read_by_itself(monkeypatch, tmp_path):
    """The learner is told what ABLkit is told; without the folder of handwriting, rows say what is missing."""
    asked = []

    def results(accuracy):
        return {
            "train": {"used": 9},
            "assumptions": {"data": "generated"},
            "test": {"accuracy": accuracy, "symbols": {"alone": accuracy + 1}},
        }

    class Learner(Runs):
        def load(self, training):
            asked.append(training.settings)
            return SimpleNamespace(metrics={**results(90.0), "seconds": {"total": 9.0, "evaluate": 2.0}})

    def baseline(task, model, split, **settings):
        asked.append({name: settings[name] for name in ("input", "symbols", "examples")})
        more = {"settings": {"minutes": 5, "longest": 7}, "epochs": 2.5, "stopped": "minutes", "size": "cpu"}
        return {**results(70.0), **more, "seconds": {"total": 99.0, "final": 60.0}}

    monkeypatch.setattr(baselines, "train_baseline", baseline)
    monkeypatch.setattr(baselines, "read_separately", lambda model: 80.0)
    contest = Contest("hint", "hint", 9, generated=True, images=True, given={"syntax": "given"})
    table = BaselineTable("Contest", (contest,), ("ablkit",), minutes=5, note="Note.")
    (tmp_path / "hint").mkdir()
    (tmp_path / "hint" / "handwriting.npz").write_bytes(b"")
    text = table.to_markdown(table.measure([0], tmp_path, Learner(tmp_path)))
    assert text.splitlines()[4:] == [
        "| hint, images | generated | nsr | | | 9 | 1 | 90.00 | 90.00 | 7.0 | 9.0 | | | 80.00 | 91.00 |",
        "| hint, images | generated | ablkit, from at most 7 symbols | cpu | 5 | 9 | 1 | 70.00 | 70.00 | 60.0 | 99.0 "
        "| 2.5 | minutes | 70.00 | 71.00 |",
        "",
        "Note.",
    ]
    told = {"input": "images", "symbols": str(tmp_path / "hint" / "handwriting.npz"), "examples": 9}
    assert asked == [{**told, "syntax": "given"}, told]
    rows = table.measure([0], None, Learner(tmp_path))
    assert [(row.label, row.failed) for row in rows] == [
        (f"hint, images, {model}", "needs hint/handwriting.npz or hint/symbol_images; name their folder by --data-dir")
        for model in ("nsr", "ablkit")
    ]


def test_a_defect_of_a_baseline_is_a_row(monkeypatch, tmp_path):
    def broken(*arguments, **settings):
        raise ValueError("no memory")

    monkeypatch.setattr(baselines, "train_baseline", broken)
    table = BaselineTable("Contest", (Contest("scan", "length"),), ("gru",))
    untrained, row = table.measure([0], None, Runs(tmp_path))
    assert "does not exist" in untrained.failed
    assert (row.label, row.failed) == ("scan length, gru", "ValueError: no memory")


def test_batches_hold_every_row_once_and_similar_lengths():
    lengths = list(itertools.islice(itertools.cycle(range(1, 8)), 700))
    rows = [[1] * length for length in lengths]
    batches = list(length_batches(rows, rows, 50, torch.Generator().manual_seed(0)))
    assert sorted(row for batch in batches for row in batch) == list(range(700))
    assert all(max(lengths[row] for row in batch) - min(lengths[row] for row in batch) <= 1 for batch in batches)
    again = list(length_batches(rows, rows, 50, torch.Generator().manual_seed(1)))
    assert batches != again
