"""What a model begins to learn with: modules that know nothing but what is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from nsr.errors import ConfigError
from nsr.learning.config import Config
from nsr.learning.deduction import Modules
from nsr.learning.grounding import ground
from nsr.learning.knowledge import given_lexicon, gold_names
from nsr.perception.images import ImagePerception
from nsr.perception.perception import Perception
from nsr.perception.tokens import words_of
from nsr.pictures import PackedPictures
from nsr.semantics.execution import Executor
from nsr.semantics.induction import Space
from nsr.semantics.lexicon import Lexicon, Signature, parse_lexicon
from nsr.semantics.primitives import PrimitiveSet
from nsr.semantics.values import Value
from nsr.syntax.own import OwnSyntax
from nsr.syntax.parser import GoldTrees, Parser
from nsr.syntax.scorer import FEATURES
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.task import Task, Tokens

MAX_UNITS = 2**27  # of the parser's tables, which have some for each symbol


@dataclass
class Start:
    """Makes the modules.

    Attributes:
        config: says what is given.
        primitives: what programs are made of.
        task: gives what a task is to give.
        seed: source of all randomness.
        syntax: the user's grammar, if it was asked for.
    """

    config: Config
    primitives: PrimitiveSet
    task: Task | None
    seed: int
    syntax: OwnSyntax | None = None

    @property
    def required_task(self) -> Task:
        """The task, where there has to be one.

        Raises:
            ConfigError: there is none.
        """
        if self.task is None:
            raise ConfigError("this model has no task; give it one, or leave perception, syntax and semantics learned")
        return self.task

    def of_words(self, perception: Perception) -> Modules:
        """Modules around a perception that knows its symbols.

        Raises:
            ConfigError: the task cannot give what it is to give, or there are too many symbols.
            DataError: the user's grammar cannot be read.
        """
        given = given_lexicon(perception, self.config.knowledge)
        lexicon = self.with_gold(given) if self.config.knowledge.semantics == "given" else given
        return Modules(perception, self.parser(given), lexicon, self.executor())

    def of_images(self, inputs: PackedPictures, values: Sequence[Value], space: Space) -> Modules:
        """Modules that know the symbols that the shortest inputs show, or those that the task gives.

        Args:
            inputs: of one pool.
            values: theirs.
            space: what programs may be made of.

        Raises:
            ConfigError: as of :meth:`of_words`.
            DataError: likewise, or no symbols are found; see :func:`nsr.learning.grounding.ground`.
        """
        knowledge, perception = self.config.knowledge, ImagePerception(self.config.images, self.seed)
        if knowledge.perception == "given":
            self.label(perception, inputs)
            found = given_lexicon(perception, knowledge)
        else:
            generator = np.random.default_rng([self.seed, len(inputs)])
            found = ground(perception, inputs, values, space, self.config, generator)
            if {knowledge.syntax, knowledge.semantics} != {"learned"}:  # by words, so symbols must be some
                gold = parse_lexicon(self.required_task.gold_lexicon, None, self.primitives)
                perception.rename(gold_names(found, gold, self.executor()))
                found = replace(found, symbols=perception.symbols)
        modules = self.of_words(perception)
        if knowledge.semantics != "given":
            modules.lexicon = found
        modules.parser.license(DependencyGrammar.of(modules.lexicon, knowledge.between))
        return modules

    def extended(self, base: Modules, sentences: Sequence[Tokens]) -> Modules:
        """The modules of another model, and the words of these sentences; errors as of :meth:`of_words`."""
        perception = words_of(base.perception).extended(sentences)
        given = replace(base.lexicon, symbols=perception.symbols)
        parser = self.parser(given)
        parser.scorer.adopt(base.parser.scorer)
        parser.license(base.parser.learned_grammar.extended(len(perception.symbols)))
        return Modules(perception, parser, given, self.executor())

    def executor(self) -> Executor:
        """One that remembers nothing."""
        return Executor(self.config.learning.max_length)

    def parser(self, given: Lexicon) -> Parser:
        """A parser that knows what is given; errors as of :meth:`of_words`."""
        units = (len(given.symbols) + 1) * (self.config.parser.embedding + FEATURES * self.config.parser.hidden)
        if units > MAX_UNITS:
            raise ConfigError(f"{len(given.symbols)} symbols are too many for the parser; lower embedding and hidden")
        generator = torch.Generator().manual_seed(self.seed)
        grammar = DependencyGrammar.of(given, self.config.knowledge.between, self.config.search.max_arity)
        parser = Parser(len(given.symbols), self.config.parser, generator, grammar)
        if self.config.knowledge.syntax == "given":
            parser.gold = GoldTrees(given.symbols, self.required_task.gold_heads)
        elif self.config.knowledge.own_syntax:
            parser.gold = GoldTrees(given.symbols, self.own_syntax().heads)
        return parser

    def own_syntax(self) -> OwnSyntax:
        """The user's grammar, read once.

        Raises:
            DataError: it cannot be read.
        """
        knowledge = self.config.knowledge
        if self.syntax is None:
            self.syntax = OwnSyntax.read(knowledge.syntax, knowledge.syntax_sha256)
        return self.syntax

    def require_syntax(self, perception: Perception, sentences: Sequence[Tokens]) -> None:
        """Refuse a user's grammar that does not fit the sentences."""
        if self.config.knowledge.own_syntax:
            spelled = (
                (each, tuple(perception.symbols[symbol] for symbol in perception.read([each]).symbols[0, 0].tolist()))
                for each in sentences
            )
            self.own_syntax().require(spelled, self.config.knowledge.separators.split())

    def with_gold(self, given: Lexicon) -> Lexicon:
        """What is given, and the right programs: how many arguments a word has, but not where these stand."""
        gold = parse_lexicon(self.required_task.gold_lexicon, given.symbols, self.primitives, partial=True)
        entries = {
            key: replace(
                entry, signatures=frozenset(Signature(left, key.arity - left) for left in range(key.arity + 1))
            )
            for key, entry in gold.entries.items()
        }
        return replace(given, entries={**entries, **given.entries})

    def label(self, perception: ImagePerception, inputs: PackedPictures) -> None:
        """Train perception with the labels of the training images."""
        labels = np.array(self.required_task.gold_labels(self.seed))
        names = tuple(sorted(set(labels.tolist()) - {""}))
        perception.grow(len(names))
        perception.rename(names)
        perception.separators = tuple(name for name in self.config.knowledge.separators.split() if name in names)
        counts = (labels[:, None] == np.array(names)).astype(np.float32)
        perception.learn_counts(inputs.pool, 1000 * counts / counts.sum(axis=0), self.config.images.image_steps)
