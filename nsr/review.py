"""A review of a user's own pairs: what is odd about them before training, and what training could not explain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nsr.arrays import percent
from nsr.errors import InputError
from nsr.learning.config import KnowledgeConfig
from nsr.learning.knowledge import literal_words
from nsr.model import NSR, show
from nsr.semantics.values import Value
from nsr.tasks.task import Examples, Tokens

SHOWN = 5  # examples of a fault
LEAST = 3  # inputs in which a word must have changed nothing


def notes(train: Examples, knowledge: KnowledgeConfig) -> list[str]:
    """What a user should know before training, a line each: contradictions, and what the learner might be told."""
    return [*_contradictions(train), *_hints(train, knowledge)]


def require_known_words(model: NSR, train: Examples, test: Examples) -> None:
    """Refuse test inputs that have words which a model could not read after this training.

    Raises:
        InputError: the message names the first such word; or as of :meth:`NSR.vocabulary`.
    """
    new, most = _new_words(train, test), model.config.learning.examples
    if not new and (not most or most >= len(train)):
        return  # which is usual, and needs no look at what the model would make of the words
    known = model.vocabulary(train.inputs, train.outputs)
    if known.literal is not None:
        return
    words = set(known.words)
    for number, tokens in enumerate(test.inputs, start=1):
        for word in tokens:
            if word not in words:
                raise InputError(f"test pair {number}: {_missing(word, new, model)}")


def _new_words(train: Examples, test: Examples) -> set[str]:
    """The words of test inputs that no training input has."""
    new = {word for tokens in test.inputs for word in tokens}
    for tokens in train.inputs:
        if not new:
            break
        new.difference_update(tokens)
    return new


def _missing(word: str, new: set[str], model: NSR) -> str:
    """Why a model would not know a word, and what to do."""
    if word not in new:
        return f"no training input that is drawn has the word {word!r}; raise --examples"
    advice = "" if model.config.knowledge.literals else ", or --literals if words denote themselves"
    return f"no training input has the word {word!r}; add some{advice}"


def review(model: NSR, train: Examples) -> dict[str, Any]:
    """How much of its training pairs a model explains, and the shortest that it does not.

    Returns:
        ``{"accuracy", "unexplained", "without_program"}``, the first in percent, the second at most SHOWN of
        ``{"input", "output", "answer"}`` (an answer of None says that there is no derivation), the third words.
    """
    answered = list(zip(train.inputs, train.outputs, model.predict(train.inputs), strict=True))
    wrong = [case for case in answered if case[1] != case[2]]
    return {
        "accuracy": percent([output == answer for _, output, answer in answered]),
        "unexplained": [
            {"input": " ".join(tokens), "output": _plain(output), "answer": _plain(answer)}
            for tokens, output, answer in _shortest(dict.fromkeys(wrong))
        ],
        "without_program": _without_program(model),
    }


def _without_program(model: NSR) -> list[str]:
    """The words of a model that have no program for any number of arguments."""
    known = model.lexicon.known
    return [word for symbol, word in enumerate(model.lexicon.symbols) if symbol not in known]


def _plain(value: Value | None) -> str | int | None:
    return show(value) if isinstance(value, tuple) else value


def _shortest(cases: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """The few cases with the shortest inputs, which come first in a case."""
    return sorted(cases, key=lambda case: len(case[0]))[:SHOWN]


def _contradictions(train: Examples) -> Iterator[str]:
    """The inputs that have several outputs, the shortest in full."""
    found: dict[Tokens, dict[Value, None]] = defaultdict(dict)
    for tokens, output in train:
        found[tokens][output] = None
    several = [(tokens, list(outputs)) for tokens, outputs in found.items() if len(outputs) > 1]
    for tokens, outputs in _shortest(several):
        shown = " and ".join(f"'{show(each)}'" for each in outputs)
        yield f"contradiction: '{' '.join(tokens)}' has the outputs {shown}"
    if len(several) > SHOWN:
        yield f"contradiction: {len(several) - SHOWN} more inputs have several outputs"


def _hints(train: Examples, knowledge: KnowledgeConfig) -> Iterator[str]:
    """Options of :class:`KnowledgeConfig` that the pairs suggest."""
    written = {token for output in train.outputs if isinstance(output, tuple) for token in output}
    literals = literal_words(train.inputs, train.outputs) & written
    if not knowledge.literals and 2 * len(literals) > len(written):
        yield f"hint: {len(literals)} words occur in inputs and in outputs; if they denote themselves, add --literals"
    for word, count in _idle_words(train).items():
        if word not in knowledge.separators.split():
            outermost = any(word in (tokens[0], tokens[-1]) for tokens in train.inputs)
            yield (
                f"hint: {count} inputs have the same output without {word!r}; if it means nothing, add "
                f"--separators {word!r}{' --between false' if outermost else ''}"
            )


def _idle_words(train: Examples) -> Counter[str]:
    """The words that never change the output where inputs with and without them are known, and in how many."""
    outputs: dict[Tokens, set[Value]] = defaultdict(set)
    for tokens, output in train:
        outputs[tokens].add(output)
    same: Counter[str] = Counter()
    changing: set[str] = set()
    for tokens, found in outputs.items():
        for word in dict.fromkeys(tokens):
            rest = outputs.get(tuple(token for token in tokens if token != word))
            if rest == found:
                same[word] += 1
            elif rest is not None:
                changing.add(word)
    return Counter({word: count for word, count in same.items() if count >= LEAST and word not in changing})
