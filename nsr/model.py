"""The Neural-Symbolic Recursive Machine: perception, parser and lexicon together.

Li, Zhu, Liang, Wu, Zhu and Huang (ICLR 2024), Neural-Symbolic Recursive Machine for Systematic Generalization,
https://arxiv.org/abs/2210.01603.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import torch as safetensors

from nsr.arrays import draw
from nsr.errors import ConfigError, InputError, RunError
from nsr.gss import GSS
from nsr.learning.config import MOST, Config
from nsr.learning.deduction import ANSWERS_WIDTH, Deduction, Modules, answers, deduce, execute
from nsr.learning.knowledge import given_lexicon, token_perception
from nsr.learning.stages import Clock, OnRound, Position
from nsr.learning.training import Trainer
from nsr.model_files import (
    CONFIG,
    GRAMMAR,
    LEXICON,
    PARSER,
    SYNTAX,
    VOCABULARY,
    checked_names,
    checked_seed,
    damage_told,
    perception_files,
    read_lexicon,
    read_perception,
    read_settings,
)
from nsr.perception.images import ImagePerception, pictures
from nsr.perception.perception import Perception, require_perception
from nsr.perception.tokens import TokenPerception, words_of
from nsr.pictures import PackedPictures, Pictures
from nsr.runs import parse_json, to_json, write_folder
from nsr.semantics.induction import Space
from nsr.semantics.lexicon import Lexicon
from nsr.semantics.notation import to_text
from nsr.semantics.primitives import Type, primitive_set
from nsr.semantics.programs import MAX_NUMBER
from nsr.semantics.values import MISSING, MISSING_ID, Value
from nsr.start import Start
from nsr.syntax.own import OwnSyntax
from nsr.syntax.signatures import DependencyGrammar
from nsr.tasks.task import Examples, Task, Tokens

Input = str | Sequence[str] | Pictures | Sequence[np.ndarray] | Sequence[Any]
NO_IMAGES = "a model that reads images cannot build on another; leave out --from"


@dataclass(frozen=True)
class Answer:
    """A value that an input may have.

    ``log_prob`` is the logarithm of the summed probability of the derivations that were found for it, a lower bound of
    log p(value | input).
    """

    value: Value
    log_prob: float


class NSR:
    """Learns from input-output pairs to map token sequences to values, and explains its answers by trees.

    Args:
        primitives: name of the primitive set, see :data:`nsr.semantics.primitives.PRIMITIVES`.
        task: if given, it reads what users type; otherwise sentences are split at white space.
        perception: ``learned`` or ``given``, as in the settings; or a perception of one's own, see
            :class:`nsr.perception.perception.Perception`. That is not kept in files: :func:`nsr.load` needs it again.
        seed: source of all randomness.
        settings: see :class:`nsr.learning.config.Config`; any of its options by name.

    Raises:
        ConfigError: an option does not exist or has an impossible value, or the perception lacks a member.
    """

    def __init__(
        self,
        primitives: str = "list",
        *,
        task: Task | None = None,
        perception: Perception | str = "learned",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        own = None if isinstance(perception, str) else perception
        if own is not None:
            require_perception(own)
        self.config = Config.of(**settings, perception=perception if own is None else "learned")
        self.primitives = primitive_set(primitives)
        self.task = task
        self.seed = seed
        self.constants: tuple[str, ...] = ()
        self.metrics: dict[str, Any] = {}
        self.learned_from: set[int] = set()  # training examples that were not just checked but learned from
        self.used = 0  # training examples that were looked at
        self.clock = Clock()
        self._perception = own
        self._modules: Modules | None = None
        self._base: NSR | None = None
        self._start = self._fresh_start()

    @property
    def modules(self) -> Modules:
        """Perception, parser, lexicon and executor of a model that has been fitted or loaded.

        Raises:
            RunError: it has not.
        """
        if self._modules is None:
            raise RunError("this model has learned nothing yet; call fit first")
        return self._modules

    @property
    def lexicon(self) -> Lexicon:
        """The learned programs."""
        return self.modules.lexicon

    @property
    def required_task(self) -> Task:
        """The task of a model that needs one.

        Raises:
            ConfigError: it has none.
        """
        return self._start.required_task

    def build_on(self, base: NSR) -> NSR:
        """Let the next :meth:`fit` start from all that another model knows and learn only the words that are new.

        What ``base`` knows of its words stays as it is; its own modules are not changed.

        Raises:
            ConfigError: the two have different primitives or settings of the parser, or a perception of their own.
        """
        if self._perception is not None or base._perception is not None:
            raise ConfigError("a model with a perception of its own cannot build on another, nor another on it")
        if (base.primitives, base.config.parser) != (self.primitives, self.config.parser):
            raise ConfigError("a model can only build on one with the same primitives and settings of the parser")
        if (base.config.knowledge.syntax == "learned") != (self.config.knowledge.syntax == "learned"):
            raise ConfigError("a model can only build on one if the syntax is learned by both, or given to both")
        self._base = base
        return self

    def fit(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[Any],
        on_round: OnRound = lambda position, record: None,
        start: Position | None = None,
    ) -> NSR:
        """Learn from examples.

        Args:
            inputs: sentences, as text or as tokens.
            outputs: for list primitives, sequences of tokens (or text, split at white space).
            on_round: called after each round of learning with the next position and a record of the round.
            start: continue at this position with the modules there are, instead of beginning anew.

        Raises:
            ConfigError: no example is short enough, the task cannot give what it is to give, or the inputs are not what
                the model can read or build on.
            DataError: the user's grammar cannot be read.
            InputError: there are no examples, not as many outputs as inputs, an empty sentence, one that the user's
                grammar does not parse, or an output that is no value of the primitives.
        """
        sentences, values = self._pairs(inputs, outputs)
        if start is None:
            self._begin(sentences, values)
        elif isinstance(self.modules.perception, ImagePerception):
            self.modules.perception.look(1)
        chosen = self._chosen(sentences)
        self.used = len(chosen)
        trainer = Trainer(
            self.modules,
            [sentences[index] for index in chosen],
            [values[index] for index in chosen],
            Space(self.primitives, self.constants, self.config.learning.max_length),
            self.config,
            self.seed,
            self.clock,
            self.learned_from,
        )
        trainer.run(on_round, start or Position())
        if isinstance(self.modules.perception, ImagePerception):
            self.modules.perception.look(self.config.images.views)
        return self

    def vocabulary(self, inputs: Sequence[Input], outputs: Sequence[Any]) -> TokenPerception:
        """The words that :meth:`fit` would know of these examples, besides those of the model that it builds on.

        Raises:
            InputError: as of :meth:`fit`.
        """
        return self._words(*self._pairs(inputs, outputs))

    def _pairs(self, inputs: Sequence[Input], outputs: Sequence[Any]) -> tuple[list[Any], list[Value]]:
        """The sentences and the values to look at, without repeats if they are of words; errors as of :meth:`fit`."""
        _require_list(inputs)
        if len(inputs) != len(outputs):
            raise InputError(f"{len(inputs)} inputs but {len(outputs)} outputs; give one output for each input")
        drawn = self._drawn(inputs)
        sentences = self.encode_all([inputs[index] for index in drawn])
        pairs = [(each, self._value(outputs[index], index)) for index, each in zip(drawn, sentences, strict=True)]
        if self._perception is None:
            pairs = list(dict.fromkeys(pairs))
        if not pairs:
            raise InputError("no examples to learn from")
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def _words(self, sentences: list[Tokens], values: list[Value]) -> TokenPerception:
        """The perception of the words of these examples, and of those of the model that this one builds on."""
        if self._base is not None:
            return words_of(self._base.modules.perception).extended(sentences)
        return token_perception(sentences, values, self.config.knowledge)

    def assemble(self, lexicon: Lexicon) -> NSR:
        """Know these programs without learning anything; where the lexicon licenses several trees, chance decides.

        Args:
            lexicon: for the symbols of the model's own perception if it has one; otherwise its symbols are words.

        Returns:
            the model itself.

        Raises:
            ConfigError: the symbols of the perception are others.
        """
        if self._perception is not None and tuple(self._perception.symbols) != lexicon.symbols:
            raise ConfigError("the lexicon and the perception must have the same symbols, in the same order")
        perception = self._perception or TokenPerception(lexicon.symbols)
        parser = self._start.parser(Lexicon(lexicon.symbols))
        parser.license(DependencyGrammar.of(lexicon, self.config.knowledge.between))
        self._modules = Modules(perception, parser, lexicon, self._start.executor())
        return self

    def _begin(self, sentences: list[Any], values: list[Value]) -> None:
        """Modules that know nothing but what is given."""
        self.learned_from.clear()
        self._start = self._fresh_start()
        shown, literals = isinstance(sentences[0], Pictures), set[str]()
        if shown and self._base is not None:
            raise ConfigError(NO_IMAGES)
        if shown and self._perception is not None:
            raise ConfigError("images of a task are read by its own perception; leave out perception")
        perception = self._perception
        if perception is None and not shown:
            perception = token_perception(sentences, values, self.config.knowledge)
            literals = {word for each in sentences for word in each}.difference(perception.words)
        if self.primitives.value_type is Type.LIST:
            self.constants = tuple(sorted({token for value in values for token in value} - literals))
        if perception is None:
            space = Space(self.primitives, self.constants, self.config.learning.max_length)
            with self.clock("ground"):
                self._modules = self._start.of_images(PackedPictures.of(sentences), values, space)
            return
        self._start.require_syntax(perception, sentences)
        if self._base is not None:
            self._modules = self._start.extended(self._base.modules, sentences)
        else:
            self._modules = self._start.of_words(perception)

    def _fresh_start(self) -> Start:
        return Start(self.config, self.primitives, self.task, self.seed)

    def _drawn(self, inputs: Sequence[Input]) -> Sequence[int]:
        """The examples to look at, repeats included: all, or a draw of them in order."""
        learning = self.config.learning
        length = (lambda each: len(self.tokens(each))) if learning.spread else None
        drawn: list[int] = draw(inputs, learning.examples, self.seed, length).tolist()
        return drawn

    def _chosen(self, sentences: list[Any]) -> list[int]:
        """The examples to learn from: all, unless the configuration limits their length or number."""
        learning = self.config.learning
        chosen = [
            index for index, each in enumerate(sentences) if not learning.max_tokens or len(each) <= learning.max_tokens
        ]
        if learning.fraction < 1:
            count = max(1, round(learning.fraction * len(chosen)))
            drawn = np.random.default_rng([self.seed, len(chosen)]).permutation(len(chosen))[:count]
            chosen = [chosen[index] for index in sorted(drawn.tolist())]
        if not chosen:
            raise ConfigError(f"no training example has at most {learning.max_tokens} tokens; raise max_tokens")
        return chosen

    def encode(self, sentence: Input) -> Any:
        """A sentence as the model's input: as :meth:`tokens`, or the images that the task shows of text.

        Raises:
            InputError: it is empty, or the task cannot read it.
        """
        return self.encode_all([sentence])[0]

    def encode_all(self, sentences: Sequence[Input]) -> list[Any]:
        """Several sentences as :meth:`encode`; the images of their text are drawn together.

        Raises:
            InputError: one is empty, or the task cannot read it.
        """
        found = [self.tokens(each) for each in sentences]
        typed = [place for place, each in enumerate(sentences) if isinstance(each, str)]
        if typed:
            seen = self.examples([found[place] for place in typed], [None] * len(typed)).inputs
            for place, each in zip(typed, seen, strict=True):
                found[place] = each
        return found

    def examples(self, sentences: Sequence[Any], outputs: Sequence[Value]) -> Examples:
        """Sentences, as of :meth:`tokens`, and their outputs as the task shows them to this model.

        Raises:
            InputError: a sentence is not in the task's language.
        """
        if self.task is None:
            return Examples(sentences, outputs)
        return self.task.examples(sentences, outputs, self.seed)

    def tokens(self, sentence: Input) -> Any:
        """A sentence as tokens: text as the task (if any) reads it, tokens, images and all else as they are.

        Raises:
            InputError: it is empty, or the task cannot read it.
        """
        tokens: Any = sentence
        if isinstance(sentence, str):
            tokens = self.task.encode(sentence) if self.task else tuple(sentence.split())
        elif not isinstance(sentence, Pictures):
            tokens = tuple(sentence)
            if tokens and isinstance(tokens[0], np.ndarray) and self._perception is None:
                tokens = pictures(tokens)
        if not tokens:
            raise InputError("empty sentence")
        return tokens

    def _value(self, output: Any, place: int) -> Value:
        """The output of the pair at this place, from 0, as a value of programs.

        Raises:
            InputError: it is none; the message has the number of the pair.
        """
        if self.primitives.value_type is Type.LIST:
            return _list(output, f"pair {place + 1}")
        return _number(output, f"pair {place + 1}")

    def predict(self, inputs: Sequence[Input]) -> list[Value | None]:
        """The value of each sentence; None where no derivation was found, never a guess.

        Raises:
            InputError: a sentence is empty or has an unknown word, or there is one instead of a list.
        """
        _require_list(inputs)
        found = self.derive(self.encode_all(inputs))
        values = self.modules.executor.values
        return [None if result == MISSING_ID else values[result] for result in found.results.tolist()]

    def predict_top(self, inputs: Sequence[Input], count: int = 1) -> list[list[Answer]]:
        """The most probable distinct values of each sentence, best first; none where no derivation was found.

        The search is wider than that of :meth:`predict`, and adds up the derivations of a value, where ``predict``
        takes the value of the most probable one. What ``predict`` answers is among the values found.

        Args:
            inputs: sentences.
            count: so many values of each at most.

        Raises:
            ConfigError: the count is less than 1, or more than ``beam`` may be.
            InputError: a sentence is empty or has an unknown word, or there is one instead of a list.
        """
        if not 1 <= count <= MOST["beam"]:
            raise ConfigError(f"the number of answers must be from 1 to {MOST['beam']}, not {count}")
        _require_list(inputs)
        encoded = self.encode_all(inputs)
        best, found = self.derive(encoded), answers(self.modules, encoded, max(ANSWERS_WIDTH, count))
        values, top = self.modules.executor.values, []
        for of_input, value, row in zip(found, best.results.tolist(), best.row.tolist(), strict=True):
            if row >= 0:  # a wider beam may lose what a narrow one finds
                of_input.setdefault(value, float(best.trees.log_probs[row]))
            ranked = sorted(of_input.items(), key=lambda item: -item[1])
            top.append([Answer(values[each], log_prob) for each, log_prob in ranked[:count]])
        return top

    def results(self, inputs: Sequence[Tokens]) -> np.ndarray:
        """The predictions as ids in the executor's value table, MISSING_ID where there is none; shape (B,)."""
        return self.derive(inputs).results

    def deduce(self, sentence: Input) -> GSS:
        """The tree behind one answer, with the program and the value of each node.

        Where no derivation has a value, the most probable tree is returned; its value is MISSING.

        Raises:
            InputError: the sentence is empty, has an unknown word, or has no tree at all.
        """
        tokens = self.encode(sentence)
        found = self.derive([tokens])
        names = tokens.names if isinstance(tokens, Pictures) else tuple(map(str, tokens))
        if not len(found.trees):
            raise InputError(f"no tree was found for '{' '.join(names)}'")
        row = max(int(found.row[0]), 0)
        trees = found.trees.take(np.array([row]))
        execution = execute(self.modules, trees)
        count = len(tokens)
        symbols = trees.symbols[0, :count].tolist()
        arities = execution.arity[0, :count].tolist()
        programs = [self.lexicon.program(key) for key in zip(symbols, arities, strict=True)]
        return GSS(
            inputs=names,
            symbols=tuple(self.lexicon.symbols[symbol] for symbol in symbols),
            heads=trees.heads[0, :count],
            values=tuple(self.modules.executor.values[value] for value in execution.values[0, :count].tolist()),
            programs=tuple("" if program is None else to_text(program) for program in programs),
            log_prob=float(trees.log_probs[0]),
        )

    def derive(self, inputs: Sequence[Any]) -> Deduction:
        """The answers to encoded inputs as arrays, with the trees they come from."""
        return deduce(self.modules, inputs, self.config.learning.beam, readings=self.config.learning.considered)

    def files(self) -> dict[str, bytes]:
        """The model as the files of a run folder."""
        modules = self.modules
        grammar = modules.parser.grammar or DependencyGrammar.of(modules.lexicon, self.config.knowledge.between)
        task = None if self.task is None else {"name": self.task.name, "options": self.task.assumptions()}
        config = {
            "primitives": self.primitives.name,
            "constants": list(self.constants),
            "task": task,
            "seed": self.seed,
            "settings": self.config.to_json(),
        }
        vocabulary, weights = perception_files(modules.perception, own=self._perception is not None)
        syntax = {} if self._start.syntax is None else {SYNTAX: self._start.syntax.text.encode()}
        return {
            **weights,
            **syntax,
            CONFIG: to_json(config),
            VOCABULARY: to_json(vocabulary),
            LEXICON: modules.lexicon.to_text().encode(),
            GRAMMAR: to_json(grammar.to_json()),
            PARSER: safetensors.save(modules.parser.scorer.state_dict()),
        }

    def adopt(self, other: NSR) -> None:
        """Take over what another model has learned."""
        self.constants, self._modules = other.constants, other.modules
        self._start.syntax = other._start.syntax
        if self._base is not None:  # what was given is not in the files of a run
            words = words_of(other.modules.perception).words
            given = self._start.extended(self._base.modules, [words]).parser.given_grammar
            self._modules = replace(other.modules, parser=other.modules.parser.given_that(given))

    def save(self, folder: str | Path) -> None:
        """Write the model to a run folder.

        Raises:
            RunError: the folder cannot be written, or nothing was learned.
        """
        write_folder(Path(folder), self.files())

    @classmethod
    def of_files(
        cls,
        files: dict[str, bytes],
        folder: Path,
        tasks: Callable[..., Task],
        perception: Perception | None = None,
    ) -> NSR:
        """The inverse of :meth:`files`; ``folder`` is for messages."""
        with damage_told(folder):
            config = parse_json(files[CONFIG], folder / CONFIG)
            task = None if config["task"] is None else tasks(config["task"]["name"], **config["task"]["options"])
            settings = read_settings(config, folder) | ({} if perception is None else {"perception": perception})
            model = cls(config["primitives"], task=task, seed=checked_seed(config["seed"]), **settings)
            model.constants = checked_names(config["constants"])
            if model.config.knowledge.own_syntax:
                model._start.syntax = OwnSyntax.tried(files[SYNTAX].decode(), str(folder / SYNTAX))
            perception = read_perception(files, folder, perception, model.config.images, model.seed)
            parser = model._start.parser(given_lexicon(perception, model.config.knowledge))
            parser.scorer.load(safetensors.load(files[PARSER]))
            grammar = DependencyGrammar.from_json(parse_json(files[GRAMMAR], folder / GRAMMAR))
            lexicon = read_lexicon(files, folder, perception.symbols, model.primitives)
        licensed = DependencyGrammar.of(lexicon, model.config.knowledge.between)
        same = licensed.classes == grammar.classes and np.array_equal(licensed.class_of, grammar.class_of)
        parser.license(grammar if same else licensed)
        model._modules = Modules(perception, parser, lexicon, model._start.executor())
        return model


def _require_list(inputs: Sequence[Input]) -> None:
    """Refuse one sentence where several are expected: its letters are no sentences."""
    if isinstance(inputs, str):
        raise InputError(f"{inputs!r} is one sentence; give a list of sentences")


def _list(output: Any, place: str) -> Tokens:
    """An output of list primitives; text is split at white space."""
    with suppress(TypeError):
        tokens = tuple(output.split() if isinstance(output, str) else output)
        if all(isinstance(token, str) for token in tokens):
            return tokens
    raise InputError(f"{place}: the output must be text or a list of text; primitives 'int' are for numbers")


def _number(output: Any, place: str) -> int:
    """An output of number primitives."""
    truth = isinstance(output, bool | np.bool_)  # which counts as a number, too
    with suppress(TypeError):
        if not truth and 0 <= (number := index(output)) <= MAX_NUMBER:
            return number
    raise InputError(f"{place}: the output must be a whole number, 0 or more, of at most 18 digits")


def show(value: Value | None) -> str:
    """A prediction as one line of text; MISSING and None as ``None``."""
    if value is None or value is MISSING:
        return "None"
    return " ".join(value) if isinstance(value, tuple) else str(value)
