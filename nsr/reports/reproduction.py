"""Which tables of results there are, and how they are made and kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nsr.baselines.abductive import ABLKIT
from nsr.errors import ConfigError
from nsr.reports import published
from nsr.reports.baselines import BaselineTable, Contest
from nsr.reports.compositionality import JAIR, DeepTable, TestsTable
from nsr.reports.export import ExportTable
from nsr.reports.hint import ARXIV, ConceptTable, FewShotTable, LongTable, SubsetTable
from nsr.reports.images import ImageTable, ImageVariant
from nsr.reports.measurement import commit, machine, write_outputs
from nsr.reports.paper import PaperTable, Result
from nsr.reports.performing import Session
from nsr.reports.pool import Runs
from nsr.reports.properties import PropertyTable
from nsr.reports.records import records, to_csv
from nsr.reports.recursion import InductionTable
from nsr.reports.swap import SwapTable
from nsr.reports.table_plots import PLOTS, draw
from nsr.reports.tables import AccuracyTable, Failed, TaskVariant, Variant
from nsr.reports.trainings import Training, short_name
from nsr.runs import to_json
from nsr.tasks import pcfg, scan
from nsr.tasks.hint import SUBSETS


class Table(Protocol):
    """Something that can be measured and written down; rows are dataclasses."""

    @property
    def title(self) -> str:
        """Its heading."""

    def trainings(self, seeds: Sequence[int], data_dir: Path | None) -> dict[str, list[Training]]:
        """The runs that the rows need, by the label of the row."""

    def measure(self, seeds: Sequence[int], data_dir: Path | None, runs: Runs) -> list[Any]:
        """The rows, measured with these seeds; ``runs`` has those of :meth:`trainings`, ``data_dir`` official files."""

    def to_markdown(self, rows: Sequence[Any]) -> str:
        """The rows under the heading."""


PARSER: dict[str, dict[str, Any]] = {  # ablations of the parser and of the weights of candidates
    "no grammar mask": {"grammar_mask": False},
    "identity of symbols always seen": {"embed": "identity"},
    "left-arcs early": {"oracle": "early"},
    "no consistency weighting": {"consistency": 0},
}
EXACT: dict[str, dict[str, Any]] = {"no abduction, exact hits only": {"abduce": ""}}
SEARCH: dict[str, dict[str, Any]] = {  # ablations of the search for explanations
    "no abduction over syntax": {"abduce": "perception semantics"},
    "no abduction over semantics": {"abduce": "perception syntax"},
    **EXACT,
    "one candidate": {"explanations": 1},
    "Metropolis-Hastings": {"search": "mh"},
}
LEARNED: dict[str, dict[str, Any]] = {"syntax given": {"syntax": "given"}, "semantics given": {"semantics": "given"}}
DEFAULT: dict[str, dict[str, Any]] = {"default": {}}
ABLATIONS = DEFAULT | PARSER | SEARCH | {"no curriculum": {"curriculum": "none"}}  # of all tasks with tokens


def _ablations(*left_out: str) -> dict[str, dict[str, Any]]:
    """The ablations without some, which take too long on a task and are those of SCAN."""
    return {label: settings for label, settings in ABLATIONS.items() if label not in left_out}


def _scan_ablations() -> Iterator[Variant]:
    for label, settings in (DEFAULT | PARSER | {"Metropolis-Hastings": SEARCH["Metropolis-Hastings"]}).items():
        yield Variant(f"addprim_jump, {label}", "addprim_jump", settings)
    for label, settings in (ABLATIONS | LEARNED).items():
        yield Variant(f"length, {label}", "length", settings)


PCFG_PUBLISHED = published.columns("pcfg")
PCFG_SOURCES = f"{JAIR} NSR paper: Li et al. (2024), arXiv 2210.01603, abstract."
PCFG_EXAMPLES = 7_779  # of 10k/train

FEW = {"examples": 10_000, "max_tokens": 13, "rounds": 5, "tested": 4_000}
FIGURES = (*SUBSETS, "all")  # of a row of HINT
WRITERS = {"symbol_split": "writer"}
DEVELOPMENT = {"symbol_split": "development"}
QUICK = {"quick": True}
GIVEN = {"syntax": "given", "semantics": "given"}

EXPORTED = (
    *(
        TaskVariant(f"SCAN, {each}", "scan", Variant(each, each))
        for each in ("simple", "length", "addprim_jump", "template_around_right")
    ),
    TaskVariant("PCFG, pcfgset", "pcfg", Variant("pcfgset", "pcfgset", {"fraction": 0.1}, generated=True)),
    TaskVariant("HINT, symbols", "hint", Variant("symbols", "hint", generated=True)),
    TaskVariant("PCFG, pcfgset, official", "pcfg", Variant("pcfgset", "pcfgset"), official=True),
)

TABLES: dict[str, Table] = {
    "scan-splits": AccuracyTable(
        "scan", "SCAN, word order projective", tuple(Variant(split, split) for split in scan.SPLITS)
    ),
    "scan-raw": AccuracyTable(
        "scan",
        "SCAN, word order raw (as published)",
        tuple(Variant(split, split, {"word_order": "raw"}) for split in scan.SPLITS),
    ),
    "scan-size": AccuracyTable(
        "scan",
        "SCAN, accuracy against training size",
        (
            *(Variant(f"length, at most {k} tokens", "length", {"max_tokens": k}) for k in (3, 4, 5)),
            Variant("length, all", "length"),
            *(Variant(f"simple, {100 * share:g}%", "simple", {"fraction": share}) for share in (0.05, 0.1, 0.2)),
        ),
    ),
    "scan-ablations": AccuracyTable("scan", "SCAN, ablations", tuple(_scan_ablations())),
    "scan-swap": SwapTable("scan", "SCAN, symbol swap matrix", Variant("length", "length"), scan.WORDS),
    "pcfg-splits": AccuracyTable(
        "pcfg",
        "PCFG SET",
        (
            *(Variant(split, split) for split in pcfg.SPLITS),
            Variant("pcfgset, recursion instead of reverse", "pcfgset", {"reverse": False}),
        ),
        PCFG_PUBLISHED,
        PCFG_SOURCES,
    ),
    "pcfg-generated": AccuracyTable(
        "pcfg",
        "PCFG SET, generated",
        tuple(Variant(split, split, generated=True) for split in pcfg.SPLITS),
        PCFG_PUBLISHED,
        PCFG_SOURCES,
    ),
    "pcfg-size": AccuracyTable(
        "pcfg",
        "PCFG SET, accuracy against training size",
        (
            *(
                Variant(f"{100 * count / PCFG_EXAMPLES:.1f}%", "pcfgset", {"fraction": count / PCFG_EXAMPLES})
                for count in (1000, 2000, 4000)
            ),
            Variant("all", "pcfgset"),
        ),
    ),
    "pcfg-ablations": AccuracyTable(
        "pcfg",
        "PCFG SET, ablations",
        tuple(
            Variant(label, "pcfgset", {"examples": 4_000, **settings}, generated=True)
            for label, settings in (
                _ablations("left-arcs early", "no abduction over syntax", "Metropolis-Hastings", "no curriculum")
                | LEARNED
            ).items()
        ),
    ),
    "pcfg-tests": TestsTable("PCFG SET, the tests of Hupkes et al."),
    "pcfg-induction": InductionTable("Functions of lists, induced from 20 examples"),
    "pcfg-deep": DeepTable("PCFG SET, deep inputs"),
    "hint-symbols": SubsetTable(
        "HINT, symbols",
        {"nsr": {}, "nsr, parentheses not declared": {"separators": ""}},
        published.rows("hint", FIGURES),
        f"{ARXIV} NSR paper: Li et al. (2024), arXiv 2210.01603, as quoted in reviews of it. Times include drawing the "
        "data unless they are in the cache.",
    ),
    "hint-ablations": SubsetTable(
        "HINT, ablations",
        {
            label: {**FEW, **settings}
            for label, settings in (
                _ablations("left-arcs early", "Metropolis-Hastings")
                | {
                    "no recursion": {"recursion": False},
                    "no replay of unsolved expressions": {"replay": False},
                }
            ).items()
        },
        note="Learned from expressions of at most 13 tokens out of 10,000, in at most 5 rounds a stage, so that what "
        "does not converge ends, and tested on 4,000 drawn by seed.",
    ),
    "hint-swap": SubsetTable(
        "HINT, one module learned and the other given",
        {"syntax learned": {"semantics": "given"}, "semantics learned": {"syntax": "given"}},
        published.rows("hint-swap", FIGURES),
        "NSR paper: the authors' released notebook, result accuracy on the test set.",
    ),
    "hint-few-shot": FewShotTable("HINT, new words from few examples"),
    "hint-induction": ConceptTable("Functions of numbers, induced from examples"),
    "hint-long": LongTable("HINT, long expressions and large values"),
    "properties": PropertyTable(
        "Equivariance and recursiveness",
        (
            TaskVariant("SCAN, length", "scan", Variant("length", "length")),
            TaskVariant("PCFG SET, a tenth of the examples", "pcfg", Variant("pcfgset", "pcfgset", {"fraction": 0.1})),
            TaskVariant("HINT, symbols", "hint", Variant("symbols", "hint", generated=True)),
        ),
    ),
    "hint-images": ImageTable(
        "HINT, images",
        (
            ImageVariant("handwriting, split at random", True),
            ImageVariant("handwriting, unseen writers", True, WRITERS),
        ),
        published.rows("hint-images", FIGURES),
        f"{ARXIV} NSR paper: Li et al. (2024), arXiv 2210.01603, as quoted in reviews of it; its image encoder was "
        "trained on symbols before. Published figures are of HINT's own images, split at random.",
    ),
    "hint-images-drawn": ImageTable(
        "HINT, images drawn here",
        (ImageVariant("drawn strokes, quick", False, QUICK),),
    ),
    "hint-images-settings": ImageTable(
        "HINT, handwriting, settings",
        (
            ImageVariant("default", True, DEVELOPMENT),
            ImageVariant("turned and slanted twice as much", True, {**DEVELOPMENT, "turn": 0.2, "slant": 0.25}),
        ),
        note="The writers of the test are among those that the other tables train on; theirs are set aside.",
    ),
    "hint-images-given": ImageTable(
        "HINT, images, modules given",
        (
            ImageVariant("perception learned, others given", True, GIVEN),
            ImageVariant("symbols learned with labels, others given", True, {**GIVEN, "perception": "given"}),
        ),
        published.rows("hint-images-given", FIGURES),
        "NSR paper: the authors' released notebook, result accuracy on the test set.",
    ),
    "hint-images-ablations": ImageTable(
        "HINT, drawn strokes, quick, ablations",
        tuple(
            ImageVariant(label, False, {**QUICK, **settings})
            for label, settings in (
                DEFAULT
                | {
                    "one reading of an input": {"considered": 1, "readings": 1},
                    "no abduction over perception": {"abduce": "syntax semantics"},
                }
                | EXACT
            ).items()
        ),
    ),
    "export": ExportTable("Exported models and the models", EXPORTED),
    "baselines": BaselineTable(
        "NSR and neural networks",
        (
            Contest("scan", "length"),
            Contest("scan", "addprim_jump"),
            Contest("pcfg", "productivity"),
            Contest("hint", "hint", 40_000, generated=True),
        ),
    ),
    "hint-images-peers": BaselineTable(
        "HINT, images, grammar and programs given: nsr and ABLkit",
        (Contest("hint", "hint", 100_000, generated=True, images=True, given=GIVEN),),
        (ABLKIT,),
        minutes=5,
        note="ABLkit searches revisions exhaustively, so it learns from those of the examples that have so few "
        "symbols; it reads each image by itself.",
    ),
}


def _results(tables: Mapping[str, Any]) -> Iterator[Result]:
    """What the paper of the NSR reports, and what was published beside it; ``tables`` have the runs."""
    for task, name, splits in (
        ("SCAN", "scan", ("simple", "length", "addprim_jump", "template_around_right")),
        ("PCFG SET", "pcfg", tuple(pcfg.SPLITS)),
    ):
        for split in splits:
            yield Result(f"{task}, {split}", tables[f"{name}-splits"], split, name, split)
    for figure in FIGURES:
        subset = figure if figure in SUBSETS else ""
        yield Result(f"HINT, symbols, {figure}", tables["hint-symbols"], "nsr", "hint", figure, subset)
    for case in ("syntax learned", "semantics learned"):
        label, paper = f"HINT, symbols, {case}, the other module given", f"{case}, NSR paper"
        yield Result(label, tables["hint-swap"], case, "hint-swap", "all", paper=paper)
    concepts = tables["hint-few-shot"]
    yield Result("HINT, six new words, average", concepts, "all examples", "hint-few-shot", "average")
    for figure in FIGURES:
        subset, images = figure if figure in SUBSETS else "", tables["hint-images"]
        yield Result(
            f"HINT, handwriting, {figure}", images, "handwriting, split at random", "hint-images", figure, subset
        )
    given, paper = "perception learned, others given", "perception learned, NSR paper"
    table = tables["hint-images-given"]
    yield Result(f"HINT, handwriting, {given}", table, given, "hint-images-given", "all", paper=paper)


TABLES["paper"] = PaperTable("Published results", tuple(_results(TABLES)))
APART = {  # in no other group: they take long, and say nothing of how good the learner is
    "exported": ("export",),
    "rivals": ("baselines", "hint-images-peers"),
    "development": ("hint-images-settings",),
}
GROUPS: dict[str, tuple[str, ...]] = {
    "scan": ("scan-splits", "scan-raw", "scan-size", "scan-swap"),
    "pcfg": ("pcfg-splits", "pcfg-generated", "pcfg-size", "pcfg-tests", "pcfg-induction", "pcfg-deep"),
    "hint": ("hint-symbols", "hint-swap", "hint-long", "hint-induction"),
    "few-shot": ("hint-few-shot",),
    "ablations": ("scan-ablations", "pcfg-ablations", "hint-ablations", "hint-images-ablations"),
    "images": ("hint-images", "hint-images-drawn", "hint-images-given"),
    "others": ("paper", "properties"),
    **APART,
    "all": tuple(name for name in TABLES if not any(name in tables for tables in APART.values())),
}


def tables_of(names: Iterable[str]) -> list[str]:
    """The tables that names of groups and tables stand for, each once.

    Raises:
        ConfigError: there is no such group or table.
    """
    found: dict[str, None] = {}
    for name in names:
        if name not in GROUPS and name not in TABLES:
            raise ConfigError(f"unknown table {name!r}; groups: {', '.join(GROUPS)}; tables: {', '.join(TABLES)}")
        found |= dict.fromkeys(GROUPS.get(name, (name,)))
    return list(found)


class Reproduced(NamedTuple):
    """A table as Markdown, and how many of its rows failed."""

    text: str
    failed: int


def reproduce(
    name: str,
    seeds: Sequence[int],
    runs: Runs,
    data_dir: Path | None = None,
    out: Path | None = None,
    *,
    plots: bool = True,
) -> Reproduced:
    """Measure a table and return it as Markdown, above a line that says where it comes from.

    Args:
        name: one of :data:`TABLES`.
        seeds: of the runs behind each row.
        runs: has the runs that are finished; the others are trained.
        data_dir: folder of the official files, used for the splits that it has.
        out: folder for ``NAME.md``, ``NAME.json``, ``NAME.csv`` and the plots.
        plots: whether to draw what :data:`nsr.reports.table_plots.PLOTS` has for the table.

    Raises:
        RunError: ``out`` cannot be written.
        ConfigError: there is something to draw, and matplotlib is not installed.
    """
    table = TABLES[name]
    trainings = table.trainings(seeds, data_dir)
    behind = [each for row in trainings.values() for each in row]
    runs.complete(behind)
    began = time.perf_counter()
    rows = table.measure(seeds, data_dir, runs)
    measuring = time.perf_counter() - began
    used = _used(trainings, runs)
    where = {"commit": commit(), "machine": machine()}
    seconds = measuring + sum(each["seconds"] for each in used.values())
    text = table.to_markdown(rows) + f"\n{_footer(seeds, used, where, seconds)}\n"
    if out is not None:
        data = {
            "table": table.title,
            **where,
            "seeds": list(seeds),
            "seconds": round(seconds, 1),
            "assumptions": _shared(trainings, runs),
            "files": {name: digest for each in behind for name, digest in each.files.items()},
            "rows": [asdict(row) for row in rows],
            "runs": used,
        }
        names = {str(each.images): short_name(each.images) for each in behind if each.images is not None}
        flat = records(rows, trainings if getattr(table, "of_runs", False) else {}, runs)
        files = {"md": text.encode(), "json": to_json(_renamed(data, names)), "csv": to_csv(flat)}
        pictures = draw(name, table.title, rows, trainings, runs) if plots and name in PLOTS else {}
        write_outputs(
            out,
            {f"{name}.{suffix}": content for suffix, content in files.items()}
            | {f"{name}-{what}.png": content for what, content in pictures.items()},
        )
    return Reproduced(text, sum(isinstance(row, Failed) for row in rows))


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Plain data with other names for some texts, however deep they are in it."""
    if isinstance(data, Mapping):
        return {key: _renamed(each, names) for key, each in data.items()}
    if isinstance(data, (list, tuple)):
        return [_renamed(each, names) for each in data]
    return names.get(data, data) if isinstance(data, str) else data


def _shared(trainings: dict[str, list[Training]], runs: Runs) -> dict[str, Any]:
    """What all the runs of a table were told alike."""
    told = [
        runs.metrics(training)["assumptions"]
        for row in trainings.values()
        for training in row
        if training.name not in runs.failures
    ]
    return {name: value for name, value in (told or [{}])[0].items() if all(each.get(name) == value for each in told)}


def _used(trainings: dict[str, list[Training]], runs: Runs) -> dict[str, dict[str, Any]]:
    """What is to be known of each run behind a table, by the name of its folder."""
    found = {}
    for row in trainings.values():
        for training in (each for last in row for each in last.lineage):
            if training.name not in found and training.name not in runs.failures:
                seconds = runs.metrics(training)["seconds"]["total"]
                found[training.name] = {"seconds": seconds, "sessions": list(map(asdict, runs.sessions(training)))}
    return found


def _footer(seeds: Sequence[int], used: dict[str, dict[str, Any]], where: dict[str, Any], seconds: float) -> str:
    """Where a table comes from: the commits and machines of its runs, and of what was measured now."""
    sessions = [[Session(**each) for each in run["sessions"]] for run in used.values()]
    trained = Counter(" and ".join(dict.fromkeys(each.commit for each in run)) for run in sessions)
    if not trained.keys() - {where["commit"]}:
        commits = f"commit {where['commit']}"
    else:
        counted = (f"{which} ({count} run{'s' * (count > 1)})" for which, count in trained.items())
        commits = f"commits {', '.join(counted)}, {where['commit']} (measured)"
    machines = dict.fromkeys(map(_machine, [*(each.machine for run in sessions for each in run), where["machine"]]))
    return f"seeds {seeds[0]}-{seeds[-1]}; {commits}; {' and '.join(machines)}; {seconds:.0f} s in all"


def _machine(facts: dict[str, Any]) -> str:
    return f"{facts['cpu']}, {facts['cores']} cores, torch {facts['torch']}"
