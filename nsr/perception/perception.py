"""What a perception module is: from grounded inputs to symbols, with probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from nsr.errors import ConfigError


class Alternative(NamedTuple):
    """Another symbol that one input could be; ``gain`` is its log-probability less that of the reading's symbol."""

    symbol: int
    gain: float


@dataclass(frozen=True)
class Readings:
    """The most probable symbol sequences of a batch of inputs, best first.

    Attributes:
        symbols: symbol ids, shape (B, K, N), where K is at most what was asked for; 0 behind the end.
        lengths: shape (B,).
        log_probs: log p(symbols | input), -inf where there is no further reading, shape (B, K).
    """

    symbols: np.ndarray
    lengths: np.ndarray
    log_probs: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together.

        Raises:
            ConfigError: the message has their shapes.
        """
        symbols, lengths, log_probs = (np.shape(each) for each in (self.symbols, self.lengths, self.log_probs))
        if len(symbols) != 3 or lengths != symbols[:1] or log_probs != symbols[:2]:
            raise ConfigError(
                "readings must have symbols of shape (B, K, N), lengths of (B,) and log_probs of (B, K), not "
                f"{symbols}, {lengths} and {log_probs}"
            )


class Perception(Protocol):
    """Maps grounded inputs (words, images) to symbols, and learns from revised symbols.

    ``symbols`` names the symbols by id. An input is a tuple of grounded tokens; what these are is the module's own
    affair. Text is split into words before.
    """

    symbols: tuple[str, ...]
    certain: bool  # whether an input has only one reading

    def read(self, inputs: Sequence[Any], width: int = 1) -> Readings:
        """The ``width`` most probable readings of each input; there is at least one input."""
        ...

    def alternatives(self, sentence: Any) -> list[list[Alternative]]:
        """For each token of one input, in any order, the symbols it could be instead of the best reading's."""
        ...

    def fit(self, inputs: Sequence[Any], symbols: np.ndarray, weights: np.ndarray) -> None:
        """Learn from revised symbols, shape (C, N), of inputs (C of them) with weights, shape (C,), of one round.

        An input occurs as often as it has explanations. A perception that is to learn only from readings that solve
        examples does nothing here, and learns in :meth:`learn`.
        """
        ...

    def learn(self, inputs: Sequence[Any], symbols: np.ndarray, weights: np.ndarray) -> None:
        """As :meth:`fit`, but from many examples between two passes over them; for readings that are not certain."""
        ...

    def attend(self, symbols: np.ndarray, lengths: np.ndarray, weights: np.ndarray, kinds: np.ndarray) -> None:
        """Learn which symbols follow which, from sequences, shapes (C, N), (C,) and (C,).

        ``kinds`` has a number for each symbol; symbols of one kind stand in the same places.
        """
        ...


MEMBERS = ("symbols", "certain", "read", "alternatives", "fit", "learn", "attend")


def require_perception(given: object) -> None:
    """Refuse what is no perception.

    Raises:
        ConfigError: it is a class, or lacks a member.
    """
    if isinstance(given, type):
        raise ConfigError(f"a perception is an object, not the class {given.__name__}; give {given.__name__}(...)")
    missing = [name for name in MEMBERS if not hasattr(given, name)]
    if missing:
        raise ConfigError(
            f"a perception needs {', '.join(missing)}, which {type(given).__name__} lacks; "
            "see nsr.perception.perception.Perception"
        )
