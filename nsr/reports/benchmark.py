"""The benchmark: the seconds that learning and inference take on a split, and their ratio to a reference.

Seconds belong to a machine. So every one is also stated as a ratio to what the same machine, in the same run, needs for
one epoch of a usual network on the same training data: the LSTM with attention of :mod:`nsr.baselines.recurrent`.
Each figure is the median of several runs. Where results are remembered (:class:`nsr.semantics.execution.Executor`,
:func:`nsr.semantics.induction.forget`), every run starts with an empty memo, unless it says "warm".

SCAN ``length`` has its parts measured one by one; of PCFG SET ``pcfgset`` the whole is measured, and deduction.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nsr.baselines.recurrent import Recurrent, RecurrentConfig
from nsr.baselines.seq2seq import make_optimizer, train_epoch
from nsr.errors import ConfigError, RunError
from nsr.experiment import load, score
from nsr.learning.consistency import KeyEvidence, Nodes, collect
from nsr.learning.deduction import Modules, deduce, execute
from nsr.learning.proposals import Proposals, propose
from nsr.model import NSR
from nsr.reports.measurement import Measurement, Report, commit, machine, run_process, timed, write_outputs
from nsr.reports.plots import growth_plot
from nsr.reports.trainings import trainings_of
from nsr.runs import to_json
from nsr.semantics.induction import Example, InductionConfig, Space, forget, induce, majority
from nsr.semantics.lexicon import Key, Lexicon
from nsr.semantics.values import Value
from nsr.syntax.parser import Parser
from nsr.tasks import Dataset, Examples, Task, make_task

SPLITS = {"scan": "length", "pcfg": "pcfgset"}  # what is measured of each task
PLOTTED = "scan"  # the task whose report has growth, and a plot of it
LONG_EPOCH = 60.0  # seconds; a reference that would take longer is known from a part of its epoch
SHORT = 4  # tokens of the sentences whose trees are all enumerated
VERBS, TURNS = ("walk", "look", "run", "jump"), ("left", "right")
ACTIONS = {verb: f"I_{verb.upper()}" for verb in VERBS} | {turn: f"I_TURN_{turn.upper()}" for turn in TURNS}


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured, and how often."""

    task: str = "scan"  # one of SPLITS
    seed: int = 0  # of training, samples and synthetic commands
    data_dir: Path | None = None  # the authors' files; None to generate the data
    repeats: int = 5  # runs behind each figure; fewer of what takes long, one of the reference
    reference: bool = True  # whether to measure it; without it there are no ratios
    probe: int = 1_024  # examples by which the reference's number of threads is chosen
    extrapolate: bool = False  # let its epoch be known from these examples alone, even a short one
    sample: int = 1_000  # training sentences that are explained, and used as evidence
    max_bank: int = 4_000  # distinct terms that an enumeration keeps, at most
    growth_examples: tuple[int, ...] = (1_000, 4_000, 16_000)
    growth_tokens: tuple[int, ...] = (9, 19, 39, 79)  # odd: two phrases and a conjunction
    growth_batch: int = 256  # sentences of each length

    def __post_init__(self) -> None:
        """Refuse to measure nothing."""
        if self.task not in SPLITS:
            raise ConfigError(f"there is no benchmark for task {self.task!r}; there is one for {', '.join(SPLITS)}")
        if self.repeats < 1:
            raise ConfigError(f"repeats must be at least 1, not {self.repeats}")


QUICK = {
    "repeats": 1,
    "extrapolate": True,
    "sample": 100,
    "max_bank": 500,
    "growth_examples": (8_000, 16_000),
    "growth_tokens": (9, 19),
    "growth_batch": 32,
}  # settings for a smoke test


def benchmark(config: BenchmarkConfig, say: Callable[[str], None] = lambda step: None) -> Report:
    """Measure everything.

    Args:
        config: what to measure.
        say: told of each step before it begins.

    Raises:
        DataError: the data cannot be read.
        RunError: training in a process of its own failed.
    """
    began = time.perf_counter()
    task, split = make_task(config.task), SPLITS[config.task]
    provenance = {
        "commit": commit(),
        "seed": config.seed,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "files": trainings_of(config.task, split, [config.seed], {}, config.data_dir)[0].files,
        "settings": {name: value for name, value in asdict(config).items() if name != "data_dir"},
    }
    data = task.load(split, seed=config.seed, data_dir=config.data_dir)
    with tempfile.TemporaryDirectory() as folder:
        say("train in a process of its own")
        speed = measure_process(config, Path(folder))
        model = load(Path(folder, "0"))
    if config.reference:
        say("train the reference for one epoch")
        speed.append(measure_reference(data.train, config))
    say("deduce")
    speed += measure_deduction(model, data.test, config)
    sections = {"Speed": speed}
    if config.task == PLOTTED:
        say("deduce and abduce")
        speed += measure_abduction(model, data.train, config)
        say("induce")
        speed += measure_induction(model, data.train, config)
        say("train on more and more examples")
        sections["Growth: training against examples"] = measure_growth_in_examples(task, data, config)
        say("deduce longer and longer sentences")
        sections["Growth: deduction against length"] = measure_growth_in_tokens(model, config)
    seconds = round(time.perf_counter() - began, 1)
    return Report(f"{config.task} {split}", {**provenance, "data": data.source, "seconds": seconds}, sections)


def write_report(report: Report, folder: Path) -> None:
    """Write ``benchmark.json``, ``benchmark.md`` and ``growth.png``; for PCFG SET only ``benchmark-pcfg.*``.

    Raises:
        ConfigError: matplotlib is not installed.
        RunError: the folder cannot be written.
    """
    task = report.provenance["settings"]["task"]
    name = "benchmark" if task == "scan" else f"benchmark-{task}"
    files = {f"{name}.json": to_json(report.to_json()), f"{name}.md": report.to_markdown().encode()}
    if report.group("examples"):
        files["growth.png"] = _plot(report)
    write_outputs(folder, files)


def _plot(report: Report) -> bytes:
    """How time grows, as a PNG."""
    examples = [(each.count, each.seconds, each.facts["% test accuracy"]) for each in report.group("examples")]
    tokens = [
        (length, 1000 * each.seconds / each.count, each.facts["% right"])
        for length, each in zip(report.provenance["settings"]["growth_tokens"], report.group("tokens"), strict=True)
    ]
    return growth_plot(examples, tokens, report.caption())


# What is measured, one function a thing.


def measure_process(config: BenchmarkConfig, folder: Path) -> list[Measurement]:
    """``nsr train`` from start to end, and its phases; the runs are kept in ``folder`` under their number.

    Raises:
        RunError: it failed, or did not end with its metrics.
    """
    command = [sys.executable, "-m", "nsr", "train", config.task, "--split", SPLITS[config.task], "--seed"]
    command.append(str(config.seed))
    if config.data_dir is not None:
        command += ["--data-dir", str(config.data_dir)]
    done = [
        run_process([*command, "--out", str(folder / str(run)), "--json", "--quiet"]) for run in range(config.repeats)
    ]
    metrics = [_last_json(each.output) for each in done]
    phases = [{name: each for name, each in found["seconds"].items() if name != "total"} for found in metrics]
    rest = [each.seconds - sum(spent.values()) for each, spent in zip(done, phases, strict=True)]
    facts = {
        "MB peak memory": statistics.median(each.peak_mb for each in done),
        "% accuracy": metrics[0]["test"]["accuracy"],
    }
    return [
        Measurement("process", "nsr train, start to end", tuple(each.seconds for each in done), facts=facts),
        *(Measurement("phase", f"phase: {name}", tuple(spent[name] for spent in phases)) for name in phases[0]),
        Measurement("phase", "phase: the rest (start, imports, data, saving)", tuple(rest)),
    ]


def measure_reference(train: Examples, config: BenchmarkConfig) -> Measurement:
    """One epoch of the LSTM with attention, with its default settings.

    It gets torch's default number of threads or only one, whichever is faster on a sample: on a busy machine the
    threads wait for each other, and a reference slowed down tenfold would flatter everything that is compared with it.
    An epoch of more than ``LONG_EPOCH`` seconds is not run to its end but extrapolated from the sample.
    """
    sample = _sample(train, config.probe, config.seed)
    probes = {threads: _epoch(sample, train, config.seed, threads) for threads in {torch.get_num_threads(), 1}}
    threads = min(probes, key=probes.__getitem__)
    if config.extrapolate or probes[threads] * len(train) / len(sample) > LONG_EPOCH:
        name = f"LSTM+attention: one epoch (extrapolated from {len(sample):,} examples)"
        seconds = probes[threads] * len(train) / len(sample)
    else:
        name, seconds = "LSTM+attention: one epoch", _epoch(train, train, config.seed, threads)
    parameters = sum(weights.numel() for weights in _network(train, torch.Generator()).parameters())
    facts = {"parameters": parameters, "torch thread(s)": threads}
    return Measurement("reference", name, (seconds,), len(train), "sentences", facts)


def measure_deduction(model: NSR, test: Examples, config: BenchmarkConfig) -> list[Measurement]:
    """Deduce the test set, first with an empty memo and then again."""
    warm = model.modules.fresh()
    _deduce(model, test, warm)
    cold_runs, _ = timed(lambda cold: _deduce(model, test, cold), config.repeats, model.modules.fresh)
    warm_runs, _ = timed(lambda _: _deduce(model, test, warm), config.repeats)
    return [
        Measurement("deduce", "deduce the test set", cold_runs, len(test), "sentences"),
        Measurement("deduce", "deduce the test set, warm", warm_runs, len(test), "sentences"),
    ]


def measure_abduction(model: NSR, train: Examples, config: BenchmarkConfig) -> list[Measurement]:
    """Explain training examples: with the trained model, with an untrained parser, and with a forgotten word."""
    trained = model.modules
    parser = Parser(len(trained.perception.symbols), model.config.parser, torch.Generator().manual_seed(config.seed))
    untrained = replace(trained, parser=parser)
    sample = _sample(train, config.sample, config.seed)
    short = train.take(index for index, tokens in enumerate(train.inputs) if len(tokens) <= SHORT)
    forgetful = [
        (_forget(untrained, symbol), short.take(index for index, each in enumerate(short.inputs) if word in each))
        for symbol, word in enumerate(trained.perception.symbols)
    ]
    situations = {
        "trained model, all lengths": [(trained, sample)],
        f"untrained parser, at most {SHORT} tokens": [(untrained, short)],
        "the same, each word's programs forgotten in turn": forgetful,
    }
    return [_measure_explaining(name, parts, model, config) for name, parts in situations.items()]


def measure_induction(model: NSR, train: Examples, config: BenchmarkConfig) -> list[Measurement]:
    """Induce the program of every key anew from the trees of the trained model, and enumerate terms for each."""
    evidence = evidence_of(model, _sample(train, config.sample, config.seed))
    space = Space(model.primitives, model.constants, model.config.learning.max_length)
    settings = model.config.induction

    def induce_all(_: None) -> int:
        generator = np.random.default_rng(config.seed)
        programs = [induce(each.examples, key.arity, space, settings, generator) for key, each in evidence.items()]
        return sum(program is not None for program in programs)

    exhaustive = replace(settings, subsets=1, max_bank=min(settings.max_bank, config.max_bank))
    generator = np.random.default_rng(config.seed)
    hopeless = [
        (key.arity, _unanswerable(majority(each.examples)[: settings.subset], model.constants, generator))
        for key, each in evidence.items()
        if key.arity
    ]

    def enumerate_all(_: None) -> None:
        for arity, examples in hopeless:
            induce(examples, arity, space, exhaustive, generator)

    runs, found = timed(induce_all, config.repeats, forget)
    searches, _ = timed(enumerate_all, config.repeats, forget)
    terms = sum(count_terms(examples, arity, space, exhaustive) for arity, examples in hopeless)
    return [
        Measurement("induce", "induce the programs of the model", runs, len(evidence), "programs", {"found": found}),
        Measurement("induce", "enumerate terms, finding none", searches, terms, "terms", {"searches": len(hopeless)}),
    ]


def measure_growth_in_examples(task: Task, data: Dataset, config: BenchmarkConfig) -> list[Measurement]:
    """Train on samples of the training examples of growing size."""
    measurements = []
    for size in config.growth_examples:
        sample = _sample(data.train, size, config.seed)
        runs, model = timed(partial(_fit, sample), config.repeats, partial(_untrained, task, config.seed))
        facts = {"% test accuracy": score(model, data.test)["accuracy"]}
        measurements.append(Measurement("examples", "train", runs, len(sample), "examples", facts))
    return measurements


def measure_growth_in_tokens(model: NSR, config: BenchmarkConfig) -> list[Measurement]:
    """Deduce batches of longer and longer commands."""
    measurements = []
    for tokens in config.growth_tokens:
        commands = long_commands(tokens, config.growth_batch, np.random.default_rng([config.seed, tokens]))
        runs, answers = timed(
            partial(_deduce, model, commands),
            config.repeats,
            model.modules.fresh,
        )
        right = sum(answer == wanted for answer, wanted in zip(answers, commands.outputs, strict=True))
        facts = {"% right": 100 * right / len(commands)}
        measurements.append(Measurement("tokens", f"deduce {tokens} tokens", runs, len(commands), "sentences", facts))
    return measurements


def _measure_explaining(
    name: str, parts: Sequence[tuple[Modules, Examples]], model: NSR, config: BenchmarkConfig
) -> Measurement:
    """Deduce and abduce some examples with each of several machines."""

    def explain_all(machines: list[Modules]) -> int:
        explained = 0
        for modules, (_, examples) in zip(machines, parts, strict=True):
            wanted = modules.executor.values.ids(examples.outputs)
            generator = np.random.default_rng(config.seed)
            explained += propose(modules, examples.inputs, wanted, {}, model.config.search, generator).explained
        return explained

    runs, explained = timed(explain_all, config.repeats, lambda: [modules.fresh() for modules, _ in parts])
    count = sum(len(examples) for _, examples in parts)
    facts = {"% explained": 100 * explained / count}
    return Measurement("abduce", f"deduce+abduce: {name}", runs, count, "sentences", facts)


def evidence_of(model: NSR, examples: Examples) -> dict[Key, KeyEvidence]:
    """What the model's own trees of the examples say of each key; every tree counts 1."""
    modules = model.modules.fresh()
    deduction = deduce(modules, examples.inputs, model.config.learning.beam)
    trees = deduction.trees.take(deduction.row[deduction.row >= 0])
    nodes = Nodes(Proposals.exact(trees), execute(modules, trees))
    return collect(nodes, np.ones(len(trees)), modules.executor.values, Lexicon(modules.lexicon.symbols))


def count_terms(examples: Sequence[Example], arity: int, space: Space, settings: InductionConfig) -> int:
    """How many calls of primitives a search in vain goes through, counted by how often primitives are applied."""
    applied = 0

    def counting(apply: Callable[..., Value]) -> Callable[..., Value]:
        def counted(*arguments: Value) -> Value:
            nonlocal applied
            applied += 1
            return apply(*arguments)

        return counted

    primitives = tuple(replace(each, apply=counting(each.apply)) for each in space.primitives.primitives)
    counted_space = replace(space, primitives=replace(space.primitives, primitives=primitives))
    induce(examples, arity, counted_space, settings, np.random.default_rng(0))
    return applied // len(examples)


def long_commands(tokens: int, count: int, generator: np.random.Generator) -> Examples:
    """Random commands of two phrases of equal length, such as "walk left left and run right left", with their actions.

    SCAN has no such phrases, but they are made of its words and, under the grammar of a model that has learned SCAN,
    have a tree. (Chains of conjunctions have none: SCAN's conjunctions do not nest.)
    """
    length = (tokens - 1) // 2
    inputs, outputs = [], []
    for _ in range(count):
        phrases = [(generator.choice(VERBS), *generator.choice(TURNS, length - 1)) for _ in range(2)]
        phrases = [tuple(map(str, phrase)) for phrase in phrases]
        inputs.append((*phrases[0], "and", *phrases[1]))
        outputs.append(tuple(ACTIONS[word] for phrase in phrases for word in reversed(phrase)))
    return Examples(tuple(inputs), tuple(outputs))


def _epoch(examples: Examples, train: Examples, seed: int, threads: int) -> float:
    """The seconds that a new network for the training set needs for one pass over these examples."""
    generator = torch.Generator().manual_seed(seed)
    network = _network(train, generator)
    optimizer = make_optimizer(network)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        [seconds], _ = timed(lambda _: train_epoch(network, optimizer, examples, generator), 1)
    finally:
        torch.set_num_threads(before)
    return seconds


def _network(train: Examples, generator: torch.Generator) -> Recurrent:
    return Recurrent.for_examples(train, RecurrentConfig(), generator)


def _untrained(task: Task, seed: int) -> NSR:
    """A model that cannot remember what others have searched for."""
    forget()
    return NSR(task.primitives, task=task, seed=seed)


def _fit(examples: Examples, model: NSR) -> NSR:
    """The model, trained on the examples."""
    return model.fit(examples.inputs, examples.outputs)


def _deduce(model: NSR, examples: Examples, modules: Modules) -> list[Value]:
    """The model's answers, as values, with these modules in place of its own."""
    results = deduce(modules, examples.inputs, model.config.learning.beam).results
    return [modules.executor.values[result] for result in results.tolist()]


def _unanswerable(
    examples: Sequence[Example], constants: Sequence[str], generator: np.random.Generator
) -> list[Example]:
    """The same arguments with random values, which no program gives."""
    return [replace(each, value=tuple(generator.choice(constants, 8).tolist())) for each in examples]


def _forget(modules: Modules, symbol: int) -> Modules:
    """The same modules without any program for a symbol."""
    entries = {key: entry for key, entry in modules.lexicon.entries.items() if key.symbol != symbol}
    return replace(modules, lexicon=replace(modules.lexicon, entries=entries))


def _sample(examples: Examples, size: int, seed: int) -> Examples:
    """At most so many of the examples, drawn by the seed."""
    return examples.take(np.random.default_rng(seed).permutation(len(examples))[:size].tolist())


def _last_json(output: str) -> dict[str, Any]:
    """The metrics that ``nsr train --json`` ends with.

    Raises:
        RunError: there are none.
    """
    try:
        return json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise RunError("nsr train --json did not end with its metrics") from None
