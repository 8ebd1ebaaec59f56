"""Every setting of the learner, with its default and its reason."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from operator import index
from typing import Any

from nsr.errors import ConfigError, did_you_mean
from nsr.files import read_given
from nsr.perception.network import KERNELS, ImageConfig
from nsr.semantics.induction import InductionConfig
from nsr.settings import setting
from nsr.syntax.own import SUFFIX
from nsr.syntax.scorer import ParserConfig

# What options may be; others are 0 or more.
CHOICES = {
    "perception": ("learned", "given"),
    "semantics": ("learned", "given"),
    "search": ("best-first", "mh"),
    "curriculum": ("length", "none"),
    "oracle": ("late", "early"),
    "embed": ("signature", "identity"),
    "device": ("auto", "cpu", "cuda"),
}
SHARES = ("threshold", "accept", "prune", "identity_dropout", "view_gain", "dropout", "smoothing")
LEAST = {
    "batch": 2,
    **dict.fromkeys(
        ("trees", "readings", "explanations", "expansions", "steps", "pool", "max_length", "beam", "considered"), 1
    ),
    **dict.fromkeys(("embedding", "hidden", "image_batch", "views", "decoded", "least"), 1),
    **dict.fromkeys(("max_program_size", "max_bank", "subset", "subsets"), 1),
    **dict.fromkeys(("first_steps", "image_steps"), 10),
}

MODULES = ("perception", "syntax", "semantics")

MOST = {  # what takes memory or time in proportion; a run folder may come from anyone
    **dict.fromkeys(("embedding", "hidden"), 1024),
    **dict.fromkeys(("views", "considered"), 1000),
    "beam": 10_000,
    "max_side": 32,
    "max_length": 1_000_000,
}

CHANNELS = re.compile(r"[1-9][0-9]{0,2}")
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class KnowledgeConfig:
    """What the learner is told beyond input-output pairs."""

    literals: bool = setting(False, "tokens that occur in inputs and in outputs start as denoting themselves")
    separators: str = setting("", "tokens declared meaningless, separated by spaces")
    perception: str = setting("learned", "symbols of images: learned, or given by the task for the training images")
    syntax: str = setting("learned", "trees: learned, given by the task, or FILE.lark: read by your own grammar")
    syntax_sha256: str = setting("", "checksum that the file of --syntax must have; none: the one it has")
    semantics: str = setting("learned", "programs: learned, or given by the task")
    between: bool = setting(True, "separators stand between two arguments of their head")

    def __post_init__(self) -> None:
        """Take the checksum of an own grammar that is named without."""
        allowed = isinstance(self.syntax, str) and (self.syntax in ("learned", "given") or self.own_syntax)
        _require(allowed, "syntax", self.syntax, f"learned, given, or a file FILE{SUFFIX}")
        if self.own_syntax and not self.syntax_sha256:
            object.__setattr__(self, "syntax_sha256", hashlib.sha256(read_given(self.syntax)).hexdigest())

    @property
    def own_syntax(self) -> bool:
        """Whether trees are read by a grammar of the user."""
        return self.syntax.endswith(SUFFIX)


@dataclass(frozen=True)
class SearchConfig:
    """How explanations are searched for."""

    search: str = setting("best-first", "best-first, or mh: a Metropolis-Hastings sampler")
    trees: int = setting(32, "parses tried for an unsolved sentence: all trees of up to 4 tokens")
    licensed: int = setting(0, "parses that the learned dependency grammar licenses, tried before those of --trees")
    within: bool = setting(False, "at last, also revise parses that the learned dependency grammar licenses")
    empty: bool = setting(False, "a word without program may mean nothing")
    constants: bool = setting(False, "symbols learned as constants take no dependents in explanations")
    max_arity: int = setting(3, "arguments of one token in an explanation: dependents that mean something")
    readings: int = setting(4, "symbol sequences tried for an unsolved sentence")
    revisions: int = setting(1, "nodes whose symbol or value may be revised in one tree")
    guesses: int = setting(8, "ways to guess the meanings of unknown leaves of one tree; 0 for no guessing")
    explanations: int = setting(16, "candidates kept for one sentence")
    expansions: int = setting(200, "nodes looked at in one abduction")
    rotations: int = setting(4, "trees whose neighbours (one attachment changed) are tried when nothing else explains")
    steps: int = setting(300, "steps of the sampler for one sentence, with search mh")
    abduce: str = setting(
        " ".join(MODULES),
        "modules whose part in an explanation may be revised, separated by spaces; without any, nothing is",
    )

    def __post_init__(self) -> None:
        """Only modules can be named, and the sampler revises what there is."""
        known = isinstance(self.abduce, str) and set(self.abduce.split()).issubset(MODULES)
        _require(known, "abduce", self.abduce, f"some of {' '.join(MODULES)}")
        _require(self.search != "mh" or all(map(self.revises, MODULES)), "abduce", self.abduce, "whole with search mh")

    def revises(self, module: str) -> bool:
        """Whether an explanation may revise what a module makes of an example."""
        return module in self.abduce.split()

    def narrowed(self) -> SearchConfig:
        """With no search where nothing may be revised: one reading, or one tree, as the parser draws it."""
        narrow: dict[str, Any] = {}
        if not self.revises("perception"):
            narrow |= {"readings": 1}
        if not self.revises("syntax"):
            narrow |= {"trees": 1, "rotations": 0, "licensed": min(self.licensed, 1)}
        if not self.revises("semantics"):
            narrow |= {"guesses": 0, "empty": False}
        return replace(self, **narrow)


@dataclass(frozen=True)
class LearningConfig:
    """The rounds of learning: how many there are, and what each of them learns from."""

    curriculum: str = setting("length", "short sentences first, or none")
    threshold: float = setting(0.995, "greedy accuracy that ends a stage")
    least: int = setting(10, "examples in a stage: the few short ones among many are where learning begins")
    rounds: int = setting(20, "at most so many rounds in a stage")
    pool: int = setting(4096, "sentences looked at in a stage; in the last one, as many as --final says")
    batch: int = setting(768, "sentences learned from in a round, half of them solved ones")
    consistency: int = setting(4, "passes of weighing candidates by their agreement with those of other sentences")
    replay: bool = setting(True, "half of a batch are unsolved examples; otherwise a batch is drawn as they come")
    accept: float = setting(0.8, "agreement with its evidence that a new program needs")
    support: float = setting(1.0, "weight of evidence that a new program needs")
    prune: float = setting(0.02, "an arity with less than this share of its symbol's weight is dropped")
    max_length: int = setting(10_000, "lists longer than this count as undefined")
    beam: int = setting(1, "trees tried at inference for each reading, until one has a value")
    considered: int = setting(2, "readings of images tried at inference, the most probable derivation wins")
    turns: int = setting(1, "times that perception of images is refitted to what solves examples")
    decoded: int = setting(16_000, "examples that perception of images is refitted to")
    spread: bool = setting(False, "draw examples of all lengths alike")
    final: int = setting(0, "examples looked at in the last stage; 0 for all")
    max_tokens: int = setting(0, "learn only from inputs of at most so many tokens; 0 for all")
    examples: int = setting(0, "learn from at most so many training examples, drawn by seed; 0 for all")
    tested: int = setting(0, "answer at most so many test examples, drawn by seed; 0 for all")
    fraction: float = setting(1.0, "learn only from this share of the training examples, drawn by seed")


@dataclass(frozen=True)
class Config:
    """All settings."""

    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    parser: ParserConfig = field(default_factory=ParserConfig)
    induction: InductionConfig = field(default_factory=InductionConfig)
    images: ImageConfig = field(default_factory=ImageConfig)

    def __post_init__(self) -> None:
        for section in self.to_json().values():
            for name, value in section.items():
                if name in CHOICES:
                    _require(value in CHOICES[name], name, value, " or ".join(CHOICES[name]))
                elif name in SHARES:
                    _require(0 <= value <= 1, name, value, "from 0 to 1")
                elif not isinstance(value, str):  # a free text may be anything
                    least = LEAST.get(name, 0)
                    _require(least <= value < math.inf, name, value, f"{least} or more")
                    _require(value <= MOST.get(name, value), name, value, f"{MOST.get(name)} or less")
        sizes, count = self.images.channels.split(), len(KERNELS)
        fitting = len(sizes) == count and all(CHANNELS.fullmatch(each) for each in sizes)
        _require(fitting, "channels", self.images.channels, f"{count} whole numbers from 1 to 999")
        fixed = self.search.search == "mh" and self.knowledge.syntax != "learned"
        _require(not fixed, "search", "mh", "best-first where the syntax is given: the sampler revises trees")
        _require(0 < self.induction.error_rate < 0.5, "error_rate", self.induction.error_rate, "above 0 and below 0.5")
        _require(0 < self.learning.fraction <= 1, "fraction", self.learning.fraction, "above 0 and at most 1")

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The settings as plain data, by section."""
        return asdict(self)

    @classmethod
    def of(cls, **settings: Any) -> Config:
        """A configuration with some settings changed, by name; names are unique over all sections.

        Raises:
            ConfigError: there is no such setting, or it cannot have this value.
        """
        default = cls()
        sections: dict[str, Any] = {section.name: getattr(default, section.name) for section in fields(cls)}
        known = {each.name: name for name, section in sections.items() for each in fields(section)}
        chosen: dict[str, dict[str, Any]] = {name: {} for name in sections}
        for name, value in settings.items():
            if name not in known:
                raise ConfigError(f"unknown option {name!r}; {did_you_mean(name, sorted(known), 'options')}")
            chosen[known[name]][name] = _cast(name, value, getattr(sections[known[name]], name))
        return cls(**{name: replace(section, **chosen[name]) for name, section in sections.items()})


def flat(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings by section, as of :meth:`Config.to_json`, by their names alone."""
    return {name: value for section in sections.values() for name, value in section.items()}


def _cast(name: str, value: Any, default: Any) -> Any:
    """A setting, perhaps given as text, in the type of its default."""
    kind = type(default)
    found = value
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        if isinstance(value, str):
            found = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        elif not isinstance(value, bool):
            found = float(value) if kind is float else {int: index}[kind](value)
    _require(type(found) is kind, name, value, KINDS[kind])
    return found


def _require(holds: bool, name: str, value: Any, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"option {name!r} must be {wanted}, not {value!r}")
