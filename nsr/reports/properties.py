"""The properties by which the paper explains generalisation, measured: equivariance and recursiveness.

Li et al. (2024), https://arxiv.org/abs/2210.01603, section 3.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nsr.errors import ConfigError
from nsr.experiment import examples_of
from nsr.model import NSR
from nsr.reports.swap import swap_matrix
from nsr.reports.tables import Failed, RunTable, TaskVariant, markdown, span, variant_runs
from nsr.reports.trainings import Training
from nsr.theory import recursiveness


@dataclass(frozen=True)
class PropertyRow:
    """What was measured on the models of some runs.

    Attributes:
        label: of the row.
        seeds: one a run.
        inputs: test inputs looked at, a run.
        swaps: pairs of different words of one class, a run.
        equivariance: share of the inputs whose tree is the same after such an exchange, mean of the pairs, a run.
        recursiveness: see :func:`nsr.theory.recursiveness`, a run.
    """

    label: str
    seeds: tuple[int, ...]
    inputs: tuple[int, ...]
    swaps: tuple[int, ...]
    equivariance: tuple[float, ...]
    recursiveness: tuple[float, ...]


@dataclass(frozen=True)
class PropertyTable(RunTable):
    """A row a task, measured on at most ``count`` test inputs, evenly drawn."""

    title: str
    variants: tuple[TaskVariant, ...]
    count: int = 400
    of_runs: ClassVar[bool] = False

    def runs_of(self, case: TaskVariant, seeds: Sequence[int], data_dir: Path | None) -> list[Training]:
        """A run a seed."""
        return variant_runs(case.task, case.variant, seeds, data_dir)

    def row(self, case: TaskVariant, seeds: Sequence[int], models: Sequence[NSR]) -> PropertyRow:
        """Swap the words of each class, and ask for the parts of inputs.

        Raises:
            ConfigError: a model has no two words of one class in its inputs, or no input has a part.
        """
        inputs, swaps, shares, parts = [], [], [], []
        for seed, model in zip(seeds, models, strict=True):
            examples = examples_of(model)
            examples = examples.take(range(0, len(examples), -(-len(examples) // self.count)))
            words, matrix = swap_matrix(model, examples)
            classes = model.modules.parser.learned_grammar.kinds()
            kinds = [classes[model.modules.perception.symbols.index(word)] for word in words]
            pairs = itertools.permutations(range(len(words)), 2)
            found = [matrix[pair] for pair in pairs if kinds[pair[0]] == kinds[pair[1]] and matrix[pair] >= 0]
            if not found:
                raise ConfigError(
                    f"seed {seed}: no two words of the test inputs share a class, so none can be exchanged"
                )
            share = recursiveness(model, examples.inputs)
            if math.isnan(share):
                raise ConfigError(f"seed {seed}: no test input that is answered has a part to ask for")
            inputs.append(len(examples))
            swaps.append(len(found))
            shares.append(statistics.mean(found))
            parts.append(share)
        return PropertyRow(case.label, tuple(seeds), tuple(inputs), tuple(swaps), tuple(shares), tuple(parts))

    def cells(self, row: PropertyRow) -> Sequence[str]:
        """Means over the seeds, in percent."""
        return (
            row.label,
            str(len(row.seeds)),
            span(row.inputs),
            span(row.swaps),
            f"{100 * statistics.mean(row.equivariance):.2f}",
            f"{100 * statistics.mean(row.recursiveness):.2f}",
        )

    def to_markdown(self, rows: Sequence[PropertyRow | Failed]) -> str:
        """The table."""
        header = ("", "seeds", "test inputs", "exchanges", "trees kept", "parts worth the same alone")
        note = (
            "An exchange puts another word of its class in the place of a word; words of no value are each a class "
            "of their own. A part is what a node and all below it stand for. In percent."
        )
        return markdown(self.title, header, self.all_cells(rows), note)
