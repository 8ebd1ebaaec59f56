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


def suppose(
    lexicon: Lexicon,
    evidence: Mapping[Key, KeyEvidence],
    space: Space,
    config: Config,
    generator: np.random.Generator,
) -> dict[Key, Hypothesis]:
    """The best program for each key that has none or whose program its evidence contradicts.

    Keys with too little evidence, or for whose evidence no program is found, are left out.
    """
    hypotheses = {}
    for key, found in evidence.items():
        entry = lexicon.entries.get(key)
        if found.support < config.learning.support or (entry is not None and _holds(found, config)):
            continue
        best = induce(found.examples, key.arity, space, config.induction, generator)
        if entry is not None:
            best = _better(best, judge(entry.program, found.examples, space, config.induction))
        if best is not None:
            hypotheses[key] = best
    return hypotheses


def revise(
    lexicon: Lexicon, evidence: Mapping[Key, KeyEvidence], hypotheses: Mapping[Key, Hypothesis], config: Config
) -> Lexicon:
    """The lexicon after this evidence.

    A key without program gets the supposed one if its evidence agrees with it; a program that is contradicted gives
    way to a better one. Keys without evidence stay as they are, but arities that hardly any explanation uses are
    dropped.
    """
    entries = dict(lexicon.entries)
    for key, found in evidence.items():
        signatures = _signatures(found.signatures, config.learning.prune)
        entry = entries.get(key)
        if key in hypotheses:
            best = hypotheses[key]
            if entry is not None or best.agreement >= config.learning.accept:
                entries[key] = Entry(best.program, signatures, best.agreement, found.support)
        elif entry is not None and found.support >= config.learning.support:
            entries[key] = Entry(entry.program, signatures, found.agreement, found.support)
    return replace(lexicon, entries=_prune(entries, evidence, config.learning.prune))


def _holds(evidence: KeyEvidence, config: Config) -> bool:
    return evidence.agreement >= 1 - config.induction.error_rate


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
