"""Learning programs: re-induce the entries of a lexicon whose evidence has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nsr.learning.config import Config
from nsr.learning.consistency import KeyEvidence
from nsr.semantics.induction import Hypothesis, Space, induce, judge
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature


def learn_lexicon(
    lexicon: Lexicon,
    evidence: Mapping[Key, KeyEvidence],
    space: Space,
    config: Config,
    generator: np.random.Generator,
) -> tuple[Lexicon, int]:
    """The lexicon after this evidence, and the number of programs searched for.

    A key without program gets one if its evidence is enough and agrees with it; a program that its evidence
    contradicts is revised if another explains all of it better; keys without evidence stay as they are. Arities that
    hardly any explanation uses are dropped.
    """
    entries = dict(lexicon.entries)
    searched = 0
    for key, found in evidence.items():
        if found.support < config.learning.support:
            continue
        entry = entries.get(key)
        signatures = _signatures(found.signatures, config.learning.prune)
        if entry is not None and found.agreement >= 1 - config.induction.error_rate:
            entries[key] = Entry(entry.program, signatures, found.agreement, found.support)
            continue
        searched += 1
        best = induce(found.examples, key.arity, space, config.induction, generator)
        if entry is not None:
            best = _better(best, judge(entry.program, found.examples, space, config.induction))
        if best is not None and (entry is not None or best.agreement >= config.learning.accept):
            entries[key] = Entry(best.program, signatures, best.agreement, found.support)
    return replace(lexicon, entries=_prune(entries, evidence, config.learning.prune)), searched


def _better(new: Hypothesis | None, old: Hypothesis) -> Hypothesis:
    return new if new is not None and new.score > old.score else old


def _signatures(weights: Mapping[Signature, float], share: float) -> frozenset[Signature]:
    """The signatures that hold at least this share of the weight."""
    least = share * sum(weights.values())
    return frozenset(signature for signature, weight in weights.items() if weight >= least)


def _prune(entries: dict[Key, Entry], evidence: Mapping[Key, KeyEvidence], share: float) -> dict[Key, Entry]:
    """Drop the arities that have evidence, but less than this share of their symbol's."""
    total: dict[int, float] = defaultdict(float)
    for key, found in evidence.items():
        total[key.symbol] += found.support
    return {
        key: entry
        for key, entry in entries.items()
        if total[key.symbol] == 0 or (evidence[key].support if key in evidence else 0.0) >= share * total[key.symbol]
    }
