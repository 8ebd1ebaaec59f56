"""What is known before anything is learned: words that denote themselves, and words that mean nothing.

Both are options, off by default; see :class:`nsr.learning.config.KnowledgeConfig`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from nsr.learning.config import KnowledgeConfig
from nsr.perception.images import ImagePerception
from nsr.perception.perception import Perception
from nsr.perception.tokens import TokenPerception
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import Entry, Key, Lexicon, Signature
from nsr.semantics.primitives import CONS, NIL
from nsr.semantics.programs import Argument, Call, Constant, Self, Term
from nsr.semantics.values import EMPTY, MISSING, Value
from nsr.tasks.task import Tokens

UNTELLING = 0.01  # chance above which a literal may be missing from all outputs


def token_perception(inputs: Sequence[Tokens], outputs: Sequence[Value], knowledge: KnowledgeConfig) -> TokenPerception:
    """The perception of these inputs; with ``literals``, the words that denote themselves share a symbol."""
    separators = knowledge.separators.split()
    return TokenPerception.of(
        inputs, literal_words(inputs, outputs).difference(separators) if knowledge.literals else ()
    )


def literal_words(inputs: Sequence[Tokens], outputs: Sequence[Value]) -> set[str]:
    """The words that occur in inputs and in outputs, and those too rare for their absence from outputs to be telling.

    A literal of an input may be missing from its output, with a chance that is estimated from those that are not
    always missing. A word that by this chance might well be missing every time counts as a literal.
    """
    together: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for sentence, output in zip(inputs, outputs, strict=True):
        words = set(sentence)
        seen.update(words)
        if isinstance(output, tuple):
            together.update(words.intersection(output))
    if not together:
        return set()
    missing = 1 - sum(together.values()) / sum(seen[word] for word in together)
    return {word for word, count in seen.items() if word in together or missing**count > UNTELLING}


def given_lexicon(perception: Perception, knowledge: KnowledgeConfig) -> Lexicon:
    """The entries to start from.

    A literal is the list of itself, or stands before the list that its one dependent, to its right, is worth. A
    separator is EMPTY; for images, separators are those that grounding found.
    """
    entries: dict[Key, Entry] = {}
    if isinstance(perception, ImagePerception):
        separators = perception.separators
    else:
        separators = tuple(knowledge.separators.split())
    if isinstance(perception, TokenPerception) and perception.literal is not None:
        for tail, signature in ((Call(NIL), Signature(0, 0)), (Argument(0), Signature(0, 1))):
            program: Term = Call(CONS, (Self(), tail))
            entries[Key(perception.literal, signature.arity)] = Entry(program, frozenset({signature}))
    for symbol in _positions(perception.symbols, separators):
        signature = Signature(0, 0, valueless=True)
        entries[Key(symbol, 0)] = Entry(Constant(EMPTY), frozenset({signature}))
    return Lexicon(perception.symbols, entries)


def _positions(words: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where the wanted words stand among the words, if they do."""
    return [words.index(word) for word in wanted if word in words]


def gold_names(found: Lexicon, gold: Lexicon, executor: Executor) -> tuple[str, ...]:
    """Name symbols as in the task's own lexicon: by the first one there that means the same and is not yet taken.

    A program means the same as the task's if it gives the same for what the constants of ``found`` are worth, wherever
    the task's gives anything: of dividing by zero there are no examples. A symbol that has no equal keeps its name.
    """
    constants = [entry.program for key, entry in sorted(found.entries.items()) if key.arity == 0]
    values = [executor.run(program, ()) for program in constants]

    def meaning(key: Key, entry: Entry) -> dict[tuple[Value, ...], Value]:
        calls = itertools.product([value for value in values if value is not EMPTY], repeat=key.arity)
        return {arguments: executor.run(entry.program, arguments) for arguments in calls}

    meanings = {
        key: {arguments: value for arguments, value in meaning(key, entry).items() if value is not MISSING}
        for key, entry in sorted(gold.entries.items())
    }
    names = list(found.symbols)
    for key, entry in sorted(found.entries.items()):
        given = meaning(key, entry).items()
        equal = [gold.symbols[other.symbol] for other, each in meanings.items() if each and each.items() <= given]
        names[key.symbol] = next((name for name in equal if name not in names), names[key.symbol])
    return tuple(names)
