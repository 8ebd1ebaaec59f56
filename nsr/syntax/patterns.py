"""Patterns of a user's grammar, matched with whole words in bounded time.

Python's ``re`` tries the ways to match one after the other, so ``(a+)+b`` takes time exponential in the length of a
word. Here all ways are followed at once, as the states of an automaton (Thompson 1968). Single characters and the
places between them are still compared by ``re``, so classes, anchors and flags mean what they mean there; patterns with
at most one choice are left to it.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

if sys.version_info >= (3, 11):
    from re import _compiler as sre_compile  # type: ignore[attr-defined]
    from re import _constants as sre
    from re import _parser as sre_parse
else:
    import sre_compile
    import sre_constants as sre
    import sre_parse

MAX_STATES = 50_000  # of a pattern, with its repetitions written out, and of all of a grammar
MAX_DEPTH = 100  # groups, assertions and repetitions inside each other
MAX_STEPS = 1_000_000  # to match a word: states that are looked at

SINGLE = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)
REPEATED = (sre.MAX_REPEAT, sre.MIN_REPEAT)  # which of them makes no difference to whole words
ASSERTED = (sre.ASSERT, sre.ASSERT_NOT)
TOO_DEEP = f"has more than {MAX_DEPTH} parts inside each other"


class PatternError(Exception):
    """A pattern that cannot be matched in bounded time; the message says why."""


class _Run:
    """The matching of one word: what it may still spend, and what is known of assertions by state and place."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.left = MAX_STEPS
        self.known: dict[tuple[int, int], bool] = {}

    def spend(self) -> None:
        """Count a step."""
        self.left -= 1
        if self.left < 0:
            raise PatternError(f"takes more than {MAX_STEPS} steps to match it")


@dataclass(eq=False)
class _State:
    """A state at a place of a word.

    Attributes:
        holds: what is needed to go on, None for nothing.
        reads: whether going on takes one character.
        then: the states that follow.
    """

    holds: Callable[[_Run, int], bool] | None = None
    reads: bool = False
    then: list[_State] = field(default_factory=list)


Part = tuple[_State, _State]  # the first and the last state of a part of a pattern


class Pattern:
    """A pattern that is matched with whole words.

    Args:
        text: as for ``re``.

    Raises:
        PatternError: it has what an automaton cannot do, or is too large or too deep.
        re.error: it is no pattern.

    Attributes:
        states: how many states the automaton has, 0 if none is needed.
    """

    def __init__(self, text: str) -> None:
        try:
            parsed = sre_parse.parse(text)
            self._simple = re.compile(text) if _choices(parsed) <= 1 else None
        except RecursionError:
            raise PatternError(TOO_DEEP) from None
        self.states = self._depth = 0
        self._context = parsed.state
        if self._simple is None:
            self._first, self._last = self._chain(parsed, parsed.state.flags)

    def matches(self, word: str) -> bool:
        """Whether a whole word matches.

        Raises:
            PatternError: it takes too many steps to tell.
        """
        if self._simple is not None:
            return self._simple.fullmatch(word) is not None
        return len(word) in _ends(self._first, self._last, _Run(word), 0)

    def _state(self, holds: Callable[[_Run, int], bool] | None = None, reads: bool = False) -> _State:
        self.states += 1
        if self.states > MAX_STATES:
            raise PatternError(f"has more than {MAX_STATES} states; it repeats too much")
        return _State(holds, reads)

    def _chain(self, items: Any, flags: int) -> Part:
        """Parts one after the other."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PatternError(TOO_DEEP)
        first = last = self._state()
        for kind, value in items:
            start, end = self._part(kind, value, flags)
            last.then.append(start)
            last = end
        end = self._state()
        last.then.append(end)
        self._depth -= 1
        return first, end

    def _part(self, kind: Any, value: Any, flags: int) -> Part:
        """A part, as ``re`` has parsed it."""
        if kind in SINGLE or kind is sre.AT:
            compare = sre_compile.compile(sre_parse.SubPattern(self._context, [(kind, value)]), flags).match
            state = self._state(lambda run, place: compare(run.word, place) is not None, kind is not sre.AT)
            return state, state
        if kind is sre.SUBPATTERN:
            _, added, removed, inner = value
            return self._chain(inner, (flags | added) & ~removed)
        if kind is sre.BRANCH:
            return self._choice([self._chain(each, flags) for each in value[1]])
        if kind in REPEATED:
            least, most, inner = value
            return self._repetition(least, most, inner, flags)
        if kind in ASSERTED:
            direction, inner = value
            return self._assertion(kind is sre.ASSERT, direction, inner, flags)
        raise PatternError("has a back reference, a condition, or a group or repetition that never gives back")

    def _choice(self, parts: list[Part]) -> Part:
        first, last = self._state(), self._state()
        for start, end in parts:
            first.then.append(start)
            end.then.append(last)
        return first, last

    def _repetition(self, least: int, most: Any, inner: Any, flags: int) -> Part:
        first = last = self._state()
        for _ in range(least):
            start, end = self._chain(inner, flags)
            last.then.append(start)
            last = end
        out = self._state()
        last.then.append(out)
        for _ in range(1 if most is sre.MAXREPEAT else most - least):
            start, end = self._chain(inner, flags)
            last.then.append(start)
            end.then.append(out)
            last = end
        if most is sre.MAXREPEAT:
            last.then.append(start)
        return first, out

    def _assertion(self, wanted: bool, direction: int, inner: Any, flags: int) -> Part:
        """What must, or must not, stand behind a place, or in front of it."""
        start, end = self._chain(inner, flags)
        width = inner.getwidth()[0] if direction < 0 else 0  # what stands in front has one width

        def holds(run: _Run, place: int) -> bool:
            key = id(state), place
            if key not in run.known:
                begin = place - width
                found = _ends(start, end, run, begin) if begin >= 0 else set()
                run.known[key] = bool(found if direction > 0 else place in found) is wanted
            return run.known[key]

        state = self._state(holds)
        return state, state


def _choices(items: Any) -> float:
    """How many choices there are one after the other at most; infinity where they are inside each other."""
    total: float = 0
    for kind, value in items:
        if kind in SINGLE or kind is sre.AT:
            continue
        if kind is sre.SUBPATTERN:
            total += _choices(value[-1])
        elif kind is sre.BRANCH:
            total += 1 + max(map(_choices, value[1]))
        elif kind in ASSERTED:
            total += _choices(value[1])
        elif kind in REPEATED and len(value[2]) == 1 and value[2][0][0] in SINGLE:
            total += 1
        else:
            return math.inf
    return total


def _ends(first: _State, last: _State, run: _Run, place: int) -> set[int]:
    """The places at which a part may end that begins at this place."""
    found: set[int] = set()
    reached = [first]
    while reached:
        seen, stack = set(reached), reached
        following: dict[_State, None] = {}
        while stack:
            run.spend()
            state = stack.pop()
            if state is last:
                found.add(place)
            if state.reads and place == len(run.word):
                continue
            if state.holds is not None and not state.holds(run, place):
                continue
            if state.reads:
                following |= dict.fromkeys(state.then)
                continue
            stack += [each for each in state.then if each not in seen]
            seen.update(state.then)
        reached, place = list(following), place + 1
    return found


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """The pattern with this text; errors as of :class:`Pattern`."""
    return Pattern(text)
