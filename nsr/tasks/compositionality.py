"""The tests of Hupkes et al. for PCFG SET: what training is changed for them, and what they measure.

Hupkes, Dankers, Mul and Bruni (2020), Compositionality decomposed: how do neural networks generalise?, JAIR 67,
https://arxiv.org/abs/1908.08351, section 6; details of the data are those of the authors' files
(https://github.com/i-machine-think/am-i-compositional). A model is a function from inputs to outputs, None where it has
no answer. Two outputs are consistent if they are the same, right or wrong; no answer is consistent with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np

from nsr.arrays import percent
from nsr.tasks.string_edits import ARITY, BINARY, SEPARATOR, TWIN, TWINS, Words, fold, is_literal, meaning
from nsr.tasks.task import Examples, Predict, Tokens

Pair = tuple[str, str]

PRIMITIVE_SHARE = 0.001  # of the training examples: those added for each synonym

# Neighbours and the functions that mean what these mean exceptionally.
EXCEPTIONS: dict[Pair, Pair] = {
    ("reverse", "echo"): ("echo", "copy"),
    ("prepend", "remove_first"): ("remove_second", "append"),
    ("echo", "remove_first"): ("copy", "append"),
    ("prepend", "reverse"): ("remove_second", "echo"),
}


# Training.


def swap_in_twins(train: Examples, rng: np.random.Generator) -> Examples:
    """Half of the occurrences of each function that has a synonym, drawn at random, become the synonym."""
    inputs = [
        tuple(token + TWIN if token in TWINS and rng.random() < 0.5 else token for token in tokens)
        for tokens in train.inputs
    ]
    return Examples(tuple(inputs), train.outputs)


def add_primitive_twins(train: Examples, rng: np.random.Generator) -> Examples:
    """Examples at the end, 0.1% of those before for each synonym, in which it is the only function."""
    words = Words(rng)
    count = max(1, round(PRIMITIVE_SHARE * len(train)))
    added = [words.apply([name + TWIN, *[""] * ARITY[name]]) for name in TWINS for _ in range(count)]
    return Examples((*train.inputs, *added), (*train.outputs, *map(meaning, added)))


@dataclass(frozen=True)
class Exceptional:
    """An input that is trained with another output than its rules give."""

    tokens: Tokens
    rule: Tokens  # the output by the rules
    exception: Tokens  # the output that is trained


def add_exceptions(
    train: Examples, percent: float, rng: np.random.Generator
) -> tuple[Examples, tuple[Exceptional, ...]]:
    """Replace all examples that have an exceptional pair of neighbours by a few with an exceptional output.

    For each pair these are ``percent`` of the number of inputs that have the rarer of its functions, at least one: half
    of them a pair applied to strings, half inputs of ``train``. They are at the end, and returned for the test.
    """
    pairs_of = [_exceptional_pairs(tokens) for tokens in train.inputs]
    words = Words(rng)
    chosen: list[Exceptional] = []
    for pair in EXCEPTIONS:
        rarer = min(sum(function in tokens for tokens in train.inputs) for function in pair)
        count = max(1, round(percent / 100 * rarer))
        order = rng.permutation(len(train)).tolist()
        candidates = (_exceptional(train.inputs[index]) for index in order if pairs_of[index] == [pair])
        nested = list(islice((each for each in candidates if each.rule != each.exception), count // 2))
        chosen += _primitive(pair, count - len(nested), words)
        chosen += nested
    kept = train.take(index for index, pairs in enumerate(pairs_of) if not pairs)
    inputs = tuple(each.tokens for each in chosen)
    outputs = tuple(each.exception for each in chosen)
    return Examples((*kept.inputs, *inputs), (*kept.outputs, *outputs)), tuple(chosen)


def _primitive(pair: Pair, count: int, words: Words) -> list[Exceptional]:
    """So many inputs that apply a pair of functions to strings."""
    strings = 1 + sum(function in BINARY for function in pair)
    found: list[Exceptional] = []
    while len(found) < count:
        each = _exceptional(words.apply([*pair, *[""] * strings]))
        if each.rule != each.exception:
            found.append(each)
    return found


def _exceptional_pairs(tokens: Tokens) -> list[Pair]:
    """The neighbours that have an exceptional meaning, from left to right."""
    return [pair for pair in pairwise(tokens) if pair in EXCEPTIONS]


def _exceptional(tokens: Tokens) -> Exceptional:
    """An input that has one exceptional pair, with both of its outputs."""
    place, pair = next((place, pair) for place, pair in enumerate(pairwise(tokens)) if pair in EXCEPTIONS)
    replaced = (*tokens[:place], *EXCEPTIONS[pair], *tokens[place + 2 :])
    return Exceptional(tokens, meaning(tokens), meaning(replaced))


# Tests.


def accuracy(name: str, predict: Predict, test: Examples, pairs: Sequence[Pair] = ()) -> dict[str, Any]:
    """The share of outputs that are right: of all, and of the inputs with each of some pairs of neighbours."""
    right = [found == output for found, output in zip(predict(test.inputs), test.outputs, strict=True)]
    neighbours = [set(pairwise(tokens)) for tokens in test.inputs] if pairs else []
    of_pairs = {
        " ".join(pair): [hit for hit, found in zip(right, neighbours, strict=True) if pair in found] for pair in pairs
    }
    return _figures(name, "accuracy", right, of_pairs)


def substitutivity(predict: Predict, test: Examples) -> dict[str, Any]:
    """Consistency of an input's output with that of the same input with a synonym for all occurrences of a function.

    One case for each input and function in it that has a synonym. ``both right`` is the share of cases with two right
    outputs, ``consistent if wrong`` the consistency of the others; then follows that of each function.
    """
    cases = [(index, name) for index, tokens in enumerate(test.inputs) for name in TWINS if name in tokens]
    twins = [tuple(token + TWIN if token == name else token for token in test.inputs[index]) for index, name in cases]
    outputs = predict(test.inputs)
    same, right = [], []
    for (index, _), found in zip(cases, predict(twins), strict=True):
        same.append(found is not None and found == outputs[index])
        right.append(same[-1] and found == test.outputs[index])
    more = {
        "both right": right,
        "consistent if wrong": [hit for hit, good in zip(same, right, strict=True) if not good],
        **{name: [hit for hit, (_, each) in zip(same, cases, strict=True) if each == name] for name in TWINS},
    }
    return _figures("substitutivity", "consistency", same, more)


def localism(predict: Predict, test: Examples) -> dict[str, Any]:
    """Consistency of the output for an input with the one computed function by function, innermost first.

    There the model is given one function at a time, its arguments being strings that it made before; where it has no
    answer or one that is not a string, the input has none. ``right`` is the share of inputs whose output is right, and
    ``right by steps`` of those that are right when computed so.
    """
    whole = predict(test.inputs)
    stepwise = _by_steps(predict, test.inputs)
    same = [found is not None and found == each for found, each in zip(stepwise, whole, strict=True)]
    right = [found == output for found, output in zip(whole, test.outputs, strict=True)]
    by_steps = [found == output for found, output in zip(stepwise, test.outputs, strict=True)]
    return _figures("localism", "consistency", same, {"right": right, "right by steps": by_steps})


@dataclass(eq=False)
class _Call:
    """A function and its arguments, some of them still to be computed."""

    function: str
    arguments: tuple[_Call | Tokens, ...]
    height: int  # of the tree below, a function of strings having 1
    value: Tokens | None = None

    def tokens(self) -> Tokens | None:
        """The function applied to the values of its arguments; None if one has none."""
        values = [each.value if isinstance(each, _Call) else each for each in self.arguments]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        return (self.function, *known[0], *(token for value in known[1:] for token in (SEPARATOR, *value)))


def _by_steps(predict: Predict, inputs: Iterable[Tokens]) -> list[Tokens | None]:
    """The value of each input as a model computes it function by function."""
    calls: list[_Call] = []

    def call(function: str, *arguments: _Call | Tokens) -> _Call:
        height = 1 + max(each.height if isinstance(each, _Call) else 0 for each in arguments)
        calls.append(_Call(function, arguments, height))
        return calls[-1]

    functions: dict[str, Callable[..., _Call | Tokens]] = {name: partial(call, name) for name in ARITY}
    roots = [fold(tokens, tuple, functions) for tokens in inputs]
    for height in range(1, 1 + max((each.height for each in calls), default=0)):
        level = [(each, each.tokens()) for each in calls if each.height == height]
        asked = list(dict.fromkeys(tokens for _, tokens in level if tokens is not None))
        answers = dict(zip(asked, predict(asked), strict=True)) if asked else {}
        for each, tokens in level:
            answer = None if tokens is None else answers.get(tokens)
            each.value = answer if answer and all(map(is_literal, answer)) else None
    return [root.value if isinstance(root, _Call) else root for root in roots]


def overgeneralisation(predict: Predict, exceptions: Sequence[Exceptional]) -> dict[str, Any]:
    """The share of trained exceptions that get the output of the rules; ``memorised``: of those that get their own.

    The authors measure this after each epoch and report the highest share; here it is that of the trained model.
    """
    found = predict([each.tokens for each in exceptions])
    by_rule = [output == each.rule for output, each in zip(found, exceptions, strict=True)]
    memorised = [output == each.exception for output, each in zip(found, exceptions, strict=True)]
    return _figures("overgeneralisation", "overgeneralised", by_rule, {"memorised": memorised})


def _figures(test: str, measure: str, hits: Sequence[bool], more: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    """What a test returns: the share of hits in percent, and further shares, but for those of no cases."""
    shares = {name: percent(each) for name, each in more.items() if each}
    return {"test": test, "measure": measure, "value": percent(hits), "count": len(hits), **shares}


TESTS: dict[str, Callable[..., dict[str, Any]]] = {
    "systematicity": partial(accuracy, "systematicity"),
    "productivity": partial(accuracy, "productivity"),
    "substitutivity": substitutivity,
    "localism": localism,
    "overgeneralisation": overgeneralisation,
}
