"""A trained model as a lark grammar, its programs as text, and a script that needs neither nsr nor torch nor numpy.

The parser's choices are compiled into the grammar (:mod:`nsr.syntax.phrases`), recursive programs into formulas
(:mod:`nsr.semantics.closed_forms`). The script is :mod:`nsr.standalone`. Nothing is exported that differs from the
model on a training sentence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from nsr._version import __version__
from nsr.errors import ExportError, reason
from nsr.learning.deduction import deduce, execute
from nsr.model import NSR, show
from nsr.perception.tokens import TokenPerception, words_of
from nsr.runs import write_files
from nsr.semantics.closed_forms import closed_form, form_text
from nsr.semantics.primitives import APPEND, CAR, CDR, CONS, DECR0, INCR, NIL, REVERSE
from nsr.semantics.programs import Apply, Call, Fix, Term, subterms
from nsr.semantics.values import EMPTY_ID
from nsr.standalone import Machine
from nsr.syntax.phrases import ADVICE, Places, check_deterministic, merge, observe, probes, write_grammar
from nsr.tasks.task import LITERAL, Tokens

SAMPLE = 10_000  # training sentences that are parsed and compared, drawn from all
SCRIPTED = frozenset((NIL, CONS, APPEND, CAR, CDR, REVERSE, INCR, DECR0))  # the primitives that the script knows
GRAMMAR, PROGRAMS, SCRIPT = "grammar.lark", "programs.nsr", "run.py"
HEADER = f"""\
// What a model learned of syntax, exported by nsr {__version__}. A phrase is worth what the program of its word makes
// (`-> word`) of what the phrases around it are worth.

"""


def export(
    model: NSR, sentences: Sequence[Tokens], folder: str | Path, tests: Sequence[Tokens] = ()
) -> list[Agreement]:
    """Write a model as a grammar, programs and a script that answers as it does.

    Args:
        model: trained.
        sentences: what it was trained on.
        folder: where to; new or empty.
        tests: more sentences on which the script and the model must agree.

    Returns:
        the agreement on the training sentences and, if there are any, on the tests.

    Raises:
        ExportError: no deterministic grammar does what the parser does, the script would answer a sentence in another
            way, the model does not read words, a program has a primitive that the script does not know, or the folder
            is in use or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} is not an empty folder; choose another one")
    if not isinstance(model.modules.perception, TokenPerception):
        raise ExportError("a model that does not read words has no grammar of words; export one that does")
    _require_scripted(model)
    drawn = _draw(sentences, np.random.default_rng([model.seed, len(sentences)]))
    try:
        files, agreements = _compiled(model, drawn + _probe(model, drawn), tests)
    except ExportError:  # it may be sure of nothing but what it was trained on
        files, agreements = _compiled(model, drawn, tests)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, {name: text.encode() for name, text in files.items()})
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {reason(error)}") from None
    return agreements


def _require_scripted(model: NSR) -> None:
    """Refuse programs that the script cannot run."""
    for entry in model.lexicon.entries.values():
        for inner in subterms(entry.program):
            if isinstance(inner, Call) and inner.primitive not in SCRIPTED:
                raise ExportError(
                    f"the script does not know the primitive {inner.primitive.name!r}; export a model without own ones "
                    "(one of nsr has to be in SCRIPTED and in FUNCTIONS of nsr/standalone.py)"
                )


def _compiled(
    model: NSR, sentences: Sequence[Tokens], tests: Sequence[Tokens]
) -> tuple[dict[str, str], list[Agreement]]:
    """The exported files, and how they agree with the model on the sentences and the tests."""
    files = compile_model(model, sentences)
    machine = Machine(files[GRAMMAR], files[PROGRAMS])
    return files, [compare(model, machine, each) for each in (sentences, tests) if len(each)]


def _draw(sentences: Sequence[Tokens], generator: np.random.Generator) -> list[Tokens]:
    """Some distinct ones of the sentences, in order."""
    chosen = generator.choice(len(sentences), min(SAMPLE, len(sentences)), replace=False)
    return list(dict.fromkeys(sentences[index] for index in np.sort(chosen).tolist()))


def compile_model(model: NSR, sentences: Sequence[Tokens]) -> dict[str, str]:
    """The exported files of a model, by name; not compared with it yet.

    Args:
        model: trained; it reads tokens.
        sentences: whose trees show what its parser does.

    Raises:
        ExportError: what it does is no deterministic grammar.
    """
    perception = words_of(model.modules.perception)
    alike = _alike(model)
    places, became = merge(_places(model, sentences), perception.literal)
    words: dict[int, list[str]] = {symbol: [] for symbol in became.values()}
    for word, first in zip(perception.words, alike.tolist(), strict=False):
        if first in became:
            words[became[first]].append(word)
    grammar = HEADER + write_grammar(places, words, perception.literal)
    check_deterministic(grammar)
    return {GRAMMAR: grammar, PROGRAMS: model.lexicon.format(spell), SCRIPT: _script(model)}


def _alike(model: NSR) -> np.ndarray:
    """The first symbol that parses like each one, for literals themselves; shape (S,)."""
    alike = model.modules.parser.alike()
    literal = words_of(model.modules.perception).literal
    if literal is not None:
        alike[literal] = literal
    return alike


def _probe(model: NSR, sentences: Sequence[Tokens]) -> list[Tokens]:
    """Short sentences that the learned grammar licenses, with units together that the given sentences may lack."""
    perception = words_of(model.modules.perception)
    words = dict(enumerate(perception.words))
    if perception.literal is not None:
        words[perception.literal] = next(
            (word for each in sentences for word in each if word not in perception.words), LITERAL
        )
    probed = [tuple(words[symbol] for symbol in each) for each in probes(_places(model, sentences))]
    found = deduce(model.modules, probed, model.config.learning.beam, fallback=False)
    return [probed[row] for row in np.flatnonzero(found.row >= 0).tolist()]


def _places(model: NSR, sentences: Sequence[Tokens]) -> Places:
    """What fills the places of units in the trees that answer the sentences."""
    found = model.derive(sentences)
    trees = found.trees.take(found.row[found.row >= 0])
    if not len(trees):
        raise ExportError("the model answers none of the sentences it was trained on; train it again")
    return observe(_alike(model)[trees.symbols], trees.heads, execute(model.modules, trees).values == EMPTY_ID)


def spell(program: Term, text: str) -> str:
    """A program as the script reads it: recursion as the formula of its values, if there is one, and a comment."""
    recursive = any(isinstance(inner, Fix | Apply) for inner in subterms(program))
    form = closed_form(program) if recursive else None
    return text if form is None else f"{form_text(form)}  # {text}"


def _script(model: NSR) -> str:
    """The standalone script, with what it must know of the model."""
    rewriting = (model.task and model.task.rewriting) or ()
    text = (resources.files("nsr") / "standalone.py").read_text(encoding="utf-8")
    text = text.replace("\nREWRITE = ()\n", f"\nREWRITE = {rewriting!r}\n")
    return text.replace("\nLONGEST, LARGEST = 10_000,", f"\nLONGEST, LARGEST = {model.config.learning.max_length:_},")


@dataclass(frozen=True)
class Agreement:
    """How a script and its model answered sentences.

    Attributes:
        count: number of sentences.
        script_speed, model_speed: sentences a second, with nothing remembered.
    """

    count: int
    script_speed: float
    model_speed: float


def compare(model: NSR, machine: Machine, sentences: Sequence[Tokens]) -> Agreement:
    """Answer sentences by a script and its model.

    Raises:
        ExportError: the answers differ; the message has the shortest sentence where they do.
    """
    texts = [" ".join(sentence) for sentence in sentences]
    began = time.perf_counter()
    answers = [machine.answer(text) for text in texts]
    script = time.perf_counter() - began
    model.modules.executor = model.modules.fresh().executor
    began = time.perf_counter()
    expected = model.predict(sentences)
    seconds = time.perf_counter() - began
    different = [row for row, pair in enumerate(zip(answers, expected, strict=True)) if pair[0] != pair[1]]
    if different:
        row = min(different, key=lambda row: len(sentences[row]))
        raise ExportError(
            f"the exported grammar and the model differ on {len(different)} of {len(texts)} sentences, the shortest: "
            f"{texts[row]!r} is {show(answers[row])}, of the model {show(expected[row])}; {ADVICE}"
        )
    return Agreement(len(texts), len(texts) / script, len(texts) / seconds)
