"""Which tables of results there are, and how they are made and kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from nsr.errors import RunError
from nsr.reports.baselines import BaselineTable, Contest
from nsr.reports.compositionality import JAIR, NETWORKS, PUBLISHED, DeepTable, TestsTable
from nsr.reports.hint import ARXIV, ConceptTable, FewShotTable, LongTable, SubsetTable
from nsr.reports.images import ImageTable, ImageVariant
from nsr.reports.measurement import commit, machine
from nsr.reports.recursion import InductionTable
from nsr.reports.tables import AccuracyTable, Variant
from nsr.runs import to_json, write_file
from nsr.tasks import pcfg, scan


class Table(Protocol):
    """Something that can be measured and written down; rows are dataclasses."""

    @property
    def title(self) -> str:
        """Its heading."""

    def measure(self, seeds: Sequence[int], data_dir: Path | None) -> list[Any]:
        """The rows, measured with these seeds; ``data_dir`` holds official files."""

    def to_markdown(self, rows: Sequence[Any]) -> str:
        """The rows under the heading."""


def _scan_ablations() -> Iterator[Variant]:
    changes = {
        "default": {},
        "no grammar mask": {"grammar_mask": False},
        "identity of symbols always seen": {"embed": "identity"},
        "left-arcs early": {"oracle": "early"},
        "no consistency weighting": {"consistency": 0},
        "Metropolis-Hastings": {"search": "mh"},
    }
    for split in ("addprim_jump", "length"):
        for label, settings in changes.items():
            yield Variant(f"{split}, {label}", split, settings)
    yield Variant("length, no curriculum", "length", {"curriculum": "none"})


PCFG_PUBLISHED = {
    **{name: {split: PUBLISHED[split][place] for split in pcfg.SPLITS} for place, name in enumerate(NETWORKS)},
    "NSR paper": dict.fromkeys(pcfg.SPLITS, "100"),
}
PCFG_SOURCES = f"{JAIR} NSR paper: Li et al. (2024), arXiv 2210.01603, abstract."
TENTH = 7_779  # examples of 10k/train

FEW = {"examples": 10_000, "max_tokens": 13, "rounds": 5}

# On each of SUBSETS, and on average.
HINT_PUBLISHED = {
    "NSR paper": ("", "97.3", "", "95.9", "", "90.1"),
    "Transformer rel. uni.": ("98.0", "96.8", "78.2", "11.7", "22.4", "61.5"),
    "LSTM": ("92.9", "90.9", "74.9", "12.1", "24.3", "58.9"),
    "GRU": ("76.2", "69.5", "42.8", "10.5", "15.1", "42.5"),
}

IMAGES_PUBLISHED = {
    "NSR paper": ("", "", "", "", "", "76.0"),
    "Transformer rel. uni.": ("88.4", "86.0", "62.5", "10.9", "19.0", "53.1"),
    "LSTM": ("83.9", "79.7", "62.0", "11.2", "21.0", "51.5"),
    "GRU": ("66.7", "58.7", "33.1", "9.4", "12.8", "35.9"),
}
WRITERS = {"symbol_split": "writer"}
GIVEN = {"syntax": "given", "semantics": "given"}

TABLES: dict[str, Table] = {
    "scan": AccuracyTable("scan", "SCAN, word order projective", tuple(Variant(split, split) for split in scan.SPLITS)),
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
            *(Variant(f"simple, {100 * share:g}%", "simple", {"fraction": share}) for share in (0.01, 0.02, 0.05, 0.1)),
        ),
    ),
    "scan-ablations": AccuracyTable("scan", "SCAN, ablations", tuple(_scan_ablations())),
    "pcfg": AccuracyTable(
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
                Variant(f"{100 * count / TENTH:.1f}%", "pcfgset", {"fraction": count / TENTH})
                for count in (500, 1000, 2000, 4000)
            ),
            Variant("all", "pcfgset"),
        ),
    ),
    "pcfg-tests": TestsTable("PCFG SET, the tests of Hupkes et al."),
    "pcfg-induction": InductionTable("Functions of lists, induced from 20 examples"),
    "pcfg-deep": DeepTable("PCFG SET, deep inputs"),
    "hint": SubsetTable(
        "HINT, symbols",
        {"nsr": {}, "nsr, parentheses not declared": {"separators": ""}},
        HINT_PUBLISHED,
        f"{ARXIV} NSR paper: Li et al. (2024), arXiv 2210.01603, as quoted in reviews of it. Times include drawing the "
        "data unless they are in the cache.",
    ),
    "hint-ablations": SubsetTable(
        "HINT, ablations",
        {
            label: {**FEW, **settings}
            for label, settings in {
                "default": {},
                "left-arcs early": {"oracle": "early"},
                "constants may take dependents": {"constants": False},
                "constants keep their identities": {"share_constants": False},
                "patterns of dependents not weighed": {"patterns": False},
                "no replay of unsolved expressions": {"replay": False},
            }.items()
        },
        note="Learned from expressions of at most 13 tokens out of 10,000, in at most 5 rounds a stage, so that what "
        "does not converge ends.",
    ),
    "hint-swap": SubsetTable(
        "HINT, one module learned and the other given",
        {"syntax learned": {"semantics": "given"}, "semantics learned": {"syntax": "given"}},
        {
            "syntax learned, NSR paper": ("", "", "", "", "", "93.39"),
            "semantics learned, NSR paper": ("", "", "", "", "", "98.47"),
        },
        "NSR paper: the authors' released notebook, result accuracy on the test set.",
    ),
    "hint-images": ImageTable(
        "HINT, images",
        (
            ImageVariant("handwriting, split at random", True),
            ImageVariant("handwriting, unseen writers", True, WRITERS),
        ),
        IMAGES_PUBLISHED,
        f"{ARXIV} NSR paper: Li et al. (2024), arXiv 2210.01603, as quoted in reviews of it; its image encoder was "
        "trained on symbols before. Published figures are of HINT's own images, split at random.",
    ),
    "hint-images-drawn": ImageTable(
        "HINT, images drawn here",
        (ImageVariant("drawn strokes", False), ImageVariant("drawn strokes, quick", False, {"quick": True})),
    ),
    "hint-images-given": ImageTable(
        "HINT, images, modules given",
        (
            ImageVariant("perception learned, others given", True, GIVEN),
            ImageVariant("perception learned, others given, unseen writers", True, {**GIVEN, **WRITERS}),
            ImageVariant("symbols learned with labels, others given", True, {**GIVEN, "perception": "given"}),
            ImageVariant(
                "symbols learned with labels, others given, unseen writers",
                True,
                {**GIVEN, **WRITERS, "perception": "given"},
            ),
            ImageVariant(
                "symbols learned with labels, others learned", True, {"perception": "given", "separators": "( )"}
            ),
        ),
        {"perception learned, NSR paper": ("", "", "", "", "", "83.51")},
        "NSR paper: the authors' released notebook, result accuracy on the test set.",
    ),
    "hint-images-ablations": ImageTable(
        "HINT, drawn strokes, ablations",
        (
            ImageVariant("drawn strokes", False),
            ImageVariant("one reading of an input", False, {"considered": 1, "readings": 1}),
            ImageVariant("perception not refitted", False, {"turns": 0}),
            ImageVariant("constants may take dependents", False, {"constants": False}),
            ImageVariant("up to three arguments", False, {"max_arity": 3}),
        ),
    ),
    "hint-few-shot": FewShotTable("HINT, new words from few examples"),
    "hint-induction": ConceptTable("Functions of numbers, induced from examples"),
    "hint-long": LongTable("HINT, long expressions and large values"),
    "baselines": BaselineTable(
        "NSR and neural networks",
        (
            Contest("scan", "length"),
            Contest("scan", "addprim_jump"),
            Contest("pcfg", "productivity"),
            Contest("hint", "hint", 40_000),
        ),
    ),
}


def reproduce(name: str, seeds: Sequence[int], data_dir: Path | None = None, out: Path | None = None) -> str:
    """Measure a table and return it as Markdown, above a line that says where it comes from.

    Args:
        name: one of :data:`TABLES`.
        seeds: of the runs behind each row.
        data_dir: folder of the official files, used for the splits that it has.
        out: folder for ``NAME.md`` and ``NAME.json``.

    Raises:
        RunError: ``out`` cannot be written.
    """
    table, began = TABLES[name], time.perf_counter()
    rows = table.measure(seeds, data_dir)
    provenance = {"commit": commit(), "machine": machine(), "seconds": round(time.perf_counter() - began, 1)}
    seconds, where = provenance["seconds"], provenance["machine"]
    text = table.to_markdown(rows) + (
        f"\nseeds {seeds[0]}-{seeds[-1]}; commit {provenance['commit']}; {where['cpu']}, {where['cores']} cores, "
        f"torch {where['torch']}; {seconds:.0f} s in all\n"
    )
    if out is not None:
        content = to_json({"table": table.title, **provenance, "rows": [asdict(row) for row in rows]})
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_file(out / f"{name}.json", content)
            write_file(out / f"{name}.md", text.encode())
        except OSError as error:
            raise RunError(f"{out} cannot be written: {error.strerror or error}") from None
    return text
