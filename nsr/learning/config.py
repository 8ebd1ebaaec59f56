"""Every setting of the learner, with its default and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from nsr.errors import ConfigError
from nsr.semantics.induction import InductionConfig
from nsr.syntax.parser import ParserConfig

SEARCHES = ("best-first", "mh")


@dataclass(frozen=True)
class SearchConfig:
    """How explanations are searched for."""

    search: str = "best-first"  # best-first, or mh: a Metropolis-Hastings sampler
    trees: int = 32  # parses tried for an unsolved sentence: all trees of up to 4 tokens
    max_arity: int = 3  # dependents of one token in an explanation
    readings: int = 4  # symbol sequences tried for it
    revisions: int = 1  # nodes whose symbol or value may be revised in one tree
    guesses: int = 8  # ways to guess the meanings of unknown leaves of one tree; 0 for no guessing
    explanations: int = 16  # candidates kept for one sentence
    expansions: int = 200  # nodes looked at in one abduction
    rotations: int = 4  # trees whose neighbours (one attachment changed) are tried when nothing else explains
    steps: int = 100  # steps of the sampler for one sentence, with search="mh"


@dataclass(frozen=True)
class LearningConfig:
    """The loop."""

    curriculum: str = "length"  # short sentences first, or none
    threshold: float = 0.995  # greedy accuracy that ends a stage
    least: int = 100  # examples in a stage
    rounds: int = 20  # at most so many rounds in a stage
    pool: int = 4096  # sentences looked at in a stage; the last stage looks at all
    batch: int = 768  # sentences learned from in a round, half of them solved ones
    consistency: int = 4  # passes of weighing candidates by their agreement with those of other sentences
    accept: float = 0.8  # agreement with its evidence that a new program needs
    support: float = 1.0  # weight of evidence that a new program needs
    prune: float = 0.02  # an arity with less than this share of its symbol's weight is dropped
    max_length: int = 10_000  # lists longer than this count as undefined
    beam: int = 1  # trees tried at inference, until one has a value
    max_tokens: int = 0  # learn only from inputs of at most so many tokens; 0 for all
    fraction: float = 1.0  # learn only from this share of the training examples, drawn by seed


@dataclass(frozen=True)
class Config:
    """All settings."""

    learning: LearningConfig = field(default_factory=LearningConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    parser: ParserConfig = field(default_factory=ParserConfig)
    induction: InductionConfig = field(default_factory=InductionConfig)

    def __post_init__(self) -> None:
        _require(self.search.search in SEARCHES, "search", self.search.search, " or ".join(SEARCHES))
        _require(
            self.learning.curriculum in ("length", "none"),
            "curriculum",
            self.learning.curriculum,
            "length or none",
        )
        _require(self.parser.oracle in ("late", "early"), "oracle", self.parser.oracle, "late or early")
        _require(0 < self.learning.fraction <= 1, "fraction", self.learning.fraction, "above 0 and at most 1")
        for section in fields(self):
            for each in fields(getattr(self, section.name)):
                value = getattr(getattr(self, section.name), each.name)
                if isinstance(value, (int, float)):
                    _require(value >= 0, each.name, value, "0 or more")

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The settings as plain data, by section."""
        return {
            section.name: {each.name: getattr(getattr(self, section.name), each.name) for each in fields(part)}
            for section in fields(self)
            if (part := getattr(self, section.name))
        }

    @classmethod
    def of(cls, **settings: Any) -> Config:
        """A configuration with some settings changed, by name; names are unique over all sections.

        Raises:
            ConfigError: there is no such setting, or it cannot have this value.
        """
        sections = {section.name: section.default_factory for section in fields(cls)}
        known = {each.name: name for name, section in sections.items() for each in fields(section)}
        chosen: dict[str, dict[str, Any]] = {name: {} for name in sections}
        for name, value in settings.items():
            if name not in known:
                raise ConfigError(f"unknown option {name!r}; known options: {', '.join(sorted(known))}")
            chosen[known[name]][name] = _cast(name, value, getattr(sections[known[name]](), name))
        return cls(**{name: section(**chosen[name]) for name, section in sections.items()})

    @classmethod
    def from_json(cls, data: dict[str, dict[str, Any]]) -> Config:
        """The inverse of :meth:`to_json`."""
        return cls.of(**{name: value for section in data.values() for name, value in section.items()})


def _cast(name: str, value: Any, default: Any) -> Any:
    """A setting given as text or as a number, in the type of its default."""
    kind = type(default)
    if kind is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind is not bool and not isinstance(value, bool):
        try:
            return kind(value)
        except (TypeError, ValueError):
            pass
    _require(type(value) is kind, name, value, {bool: "true or false", int: "a whole number"}.get(kind, "a number"))
    return value


def _require(holds: bool, name: str, value: Any, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"option {name!r} must be {wanted}, not {value!r}")
