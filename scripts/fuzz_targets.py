"""What ``fuzz.py`` attacks: for each target valid examples, structured ones near them, and what is done with a case.

A case is bytes, so that cases can be kept, mutated and guided by coverage alike. What a case may raise is an NSRError.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import nsr
from nsr.cli import data
from nsr.cli.main import COMMANDS, main
from nsr.errors import ConfigError, DataError, NSRError
from nsr.model_files import CONFIG, IMAGES, LEXICON, PARSER, SYNTAX, VOCABULARY
from nsr.model_files import GRAMMAR as GRAMMAR_FILE
from nsr.perception.images import ImagePerception, pictures
from nsr.pictures import SIDE
from nsr.runs import MANIFEST, read_folder, to_json, write_folder
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.notation import parse_program, to_notation, to_text
from nsr.semantics.primitives import PRIMITIVES, Type
from nsr.semantics.programs import MAX_NUMBER
from nsr.syntax.own import OwnSyntax
from nsr.tasks.pairs import outputs, parse_pairs
from nsr.tasks.symbols import CLASSES, load_symbols, read_image
from nsr.tasks.task import Dataset, Examples
from nsr.training_run import METRICS

SETS = ("list", "list-reverse", "list-recursive", "int")


class Wrong(Exception):
    """What came out is not as it must be."""


@dataclass(frozen=True)
class Target:
    """A kind of input.

    Attributes:
        summary: what is attacked.
        share: of all cases.
        examples: makes valid cases, in a folder that it may use.
        structured: cases near valid ones.
        attempt: what is done with a case, in the same folder.
        words: what mutations insert.
        seconds: that a case may take.
    """

    summary: str
    share: float
    examples: Callable[[Path], list[bytes]]
    structured: SearchStrategy[bytes]
    attempt: Callable[[bytes, Path], object]
    words: tuple[bytes, ...] = ()
    seconds: float = 5.0


def joined(*parts: SearchStrategy[str]) -> SearchStrategy[str]:
    """These parts behind each other."""
    return st.tuples(*parts).map("".join)


def framed(*parts: int | str) -> bytes:
    """A case: leading numbers as bytes, which say what the text is for, then the text."""
    return b"".join(bytes([part]) if isinstance(part, int) else part.encode() for part in parts)


# Programs

TOKENS = ('"A"', '"I_TURN_LEFT"', '"é ✓"', '"\\u00e4\\n"')
ATOMS = (*TOKENS, "x0", "x1", "x2", "x9", "self", "nil", "empty", "item", "rest", "_", "0", "7", "-1", "9" * 18)
SUM = "(fix (if0 x1 x0 (incr (rec x0 (decr0 x1)))))"
NAMES = ("cons", "append", "car", "cdr", "reverse", "incr", "decr0", "if0", "fix", "rec", "fold", "apply", '"+"', '"f"')


def calls(*parts: SearchStrategy[str]) -> SearchStrategy[str]:
    """An s-expression of these parts."""
    return st.tuples(*parts).map(lambda each: f"({' '.join(each)})")


def loose_terms() -> SearchStrategy[str]:
    """Terms, most of them not well typed."""
    return st.recursive(
        st.sampled_from(ATOMS),
        lambda inner: calls(st.sampled_from(NAMES), st.lists(inner, min_size=1, max_size=3).map(" ".join)),
        max_leaves=12,
    )


def list_terms() -> SearchStrategy[str]:
    """Terms over lists, well typed."""
    token = st.sampled_from((*TOKENS, "self"))
    step = st.recursive(
        st.sampled_from(("rest", "nil")),
        lambda inner: calls(st.just("append"), inner, inner) | calls(st.just("cons item"), inner),
        max_leaves=6,
    )

    def more(inner: SearchStrategy[str]) -> SearchStrategy[str]:
        head = token | calls(st.just("car"), inner)
        return (
            calls(st.just("cons"), head, inner)
            | calls(st.just("append"), inner, inner)
            | calls(st.sampled_from(("cdr", "reverse")), inner)
            | calls(st.just("fold"), inner, inner, step)
        )

    return st.recursive(st.sampled_from(("nil", "x0", "x1")), more, max_leaves=16)


def number_terms() -> SearchStrategy[str]:
    """Terms over numbers, well typed but for where recursion stands."""

    def more(inner: SearchStrategy[str]) -> SearchStrategy[str]:
        return (
            calls(st.sampled_from(("incr", "decr0")), inner)
            | calls(st.just("if0"), inner, inner, inner)
            | calls(st.sampled_from(("rec", '"+"', '"f"', f"apply {SUM}")), inner, inner)
        )

    inner = st.recursive(st.sampled_from(("0", "3", "x0", "x1", "9" * 18)), more, max_leaves=16)
    return inner | calls(st.just("fix"), inner)


def terms() -> SearchStrategy[str]:
    """Terms of all kinds."""
    return st.one_of(list_terms(), number_terms(), loose_terms())


PROGRAMS = {
    0: ('(cons "I_JUMP" nil)', "(append x0 (append x0 x0))", "(cons (car x0) (cdr x1))", "empty", "(cons self x0)"),
    1: ("(reverse (append x0 (reverse x1)))", "(append (append x0 x0) (append x0 x0))"),
    2: ("(fold x0 nil (append rest (cons item nil)))", "(fold x0 (fold x1 nil (append rest rest)) (append rest rest))"),
    3: (
        SUM,
        "(fix (if0 x0 x1 (rec (decr0 x0) (rec (decr0 x0) (incr x1)))))",
        f"(apply {SUM} x0 2)",
        "(fix (rec (incr x0) x1))",
        "(if0 x0 (incr (incr 999999999999999999)) (decr0 x1))",
    ),
}


def try_program(case: bytes, folder: Path) -> None:
    """Read a program, write it in both notations, and run it."""
    code, arity = (case + b"\0\0")[:2]
    primitives = PRIMITIVES[SETS[code % len(SETS)]]
    run_term(parse_program(case[2:].decode(errors="replace"), primitives, arity % 4), primitives, arity % 4)


def run_term(term, primitives, arity: int) -> None:
    """A term is written, read back, and run on small and on large arguments."""
    if parse_program(to_text(term), primitives, arity) != term:
        raise Wrong("a program is read back as another one")
    to_notation(term)
    executor = Executor()
    if primitives.value_type is Type.INT:
        values = (0, 3, 1000, MAX_NUMBER)
    else:
        values = ((), ("A", "b", "A"), ("A",) * 1000, ("A",) * 10_000)
    for place in range(len(values)):
        arguments = [values[(place + index) % len(values)] for index in range(arity)]
        value = executor.run(term, arguments, "A")
        if (isinstance(value, tuple) and len(value) > 10_000) or (isinstance(value, int) and value > MAX_NUMBER):
            raise Wrong("a value is larger than the bound")


# Lexicons

LEXICONS = {
    0: '"jump" = (cons "I_JUMP" nil)\nx0 "left" = (cons "I_TURN_LEFT" x0)\nx0 "after" x1 = (append x1 x0)\n'
    '"," = empty\n"prepend" x0 _ x1 = (append x1 x0)\n',
    2: '"reverse" x0 = (fold x0 nil (append rest (cons item nil)))\n"<literal>" = (cons self nil)  # itself\n',
    3: f'"one" = 1\nx0 "+" x1 = {SUM}\n'
    'x0 "*" x1 = (fix (if0 x1 0 ("+" x0 (rec x0 (decr0 x1)))))\n'
    '"^" x0 x1 = (fix (if0 x1 1 ("*" x0 (rec x0 (decr0 x1)))))\n',
}


def lexicon_texts() -> SearchStrategy[bytes]:
    """Lexicons near valid ones."""
    name = st.sampled_from(('"+"', '"f"', '"jump"', '"*"', '","', '"é"'))
    frame = st.sampled_from(("{}", "{} x0", "x0 {}", "x0 {} x1", "{} x0 _ x1", "_ {}", "x0 {} x1 x2", "x1 {} x0"))
    entry = st.tuples(frame, name, terms()).map(lambda each: f"{each[0].format(each[1])} = {each[2]}\n")
    return st.tuples(st.integers(0, 3), st.lists(entry, max_size=5).map("".join)).map(lambda each: framed(*each))


def try_lexicon(case: bytes, folder: Path) -> None:
    """Read a lexicon, write it, and run its programs."""
    primitives = PRIMITIVES[SETS[(case + b"\0")[0] % len(SETS)]]
    lexicon = parse_lexicon(case[1:].decode(errors="replace"), None, primitives)
    again = parse_lexicon(lexicon.to_text(), lexicon.symbols, primitives)
    if again != lexicon:
        raise Wrong("a lexicon is read back as another one")
    executor = Executor()
    value = 7 if primitives.value_type is Type.INT else ("A", "b")
    for key, entry in lexicon.entries.items():
        executor.run(entry.program, [value] * key.arity, "A")


# Pairs

SENTENCES = ("jump twice", "walk and look", "é  ✓", "1 2 3", '"', "\ufeffx")


def pair_files() -> SearchStrategy[bytes]:
    """Files of pairs near valid ones: a kind, then the content."""
    side = st.sampled_from((*SENTENCES, "", " ", "7", "9" * 19, "1e9"))
    line = joined(side, st.sampled_from(("\t", "\t\t", " ", "\t")), side, st.sampled_from(("\n", "\r\n", "")))
    plain = st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | side,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(side, inner, max_size=2),
        max_leaves=4,
    )
    pair = st.fixed_dictionaries({"input": side | st.lists(side, max_size=3) | plain, "output": plain})
    item = (pair | plain).map(json.dumps)
    tsv = joined(st.sampled_from("\0\2"), st.lists(line, max_size=4).map("".join))
    jsonl = joined(st.sampled_from("\1\3"), st.lists(item, max_size=4).map("\n".join))
    return (tsv | jsonl).map(str.encode)


def try_pairs(case: bytes, folder: Path) -> None:
    """Read a file of pairs (tsv or jsonl), and its outputs as lists or as numbers."""
    kind = (case + b"\0")[0]
    path = Path("pairs.jsonl" if kind % 2 else "pairs.tsv")
    outputs(parse_pairs(case[1:], path), PRIMITIVES["int" if kind // 2 % 2 else "list"], path)


# Grammars, and sentences that they read

GRAMMAR = """
?start: after | start THEN after -> word
?after: phrase
      | after "after" phrase -> word
?phrase: COLOUR -> word
       | phrase "twice" -> word
       | _LEFT start _RIGHT
       | LITERAL -> literal
THEN: "then" /(?!\\S)/
COLOUR: "red" | "blue" | /gr(e|ey)n?/i
_LEFT: "("
_RIGHT: ")"
LITERAL.-1: /\\S+/
%ignore /\\s+/
"""
SLOW = """
start: WORD -> word | start LIST -> word
WORD: /(a+)+b/
LIST: /(x|xx)*(?:y*)*z|(\\w*\\d*)*-/
"""
PIECES = (
    "start: ", "?start: ", "a: ", "?b: ", "_c: ", " | ", "\n", " -> word", " -> literal", " a ", " b ", " _c ", ' "x" ',
    ' "y"i ', " A ", " _B ", "* ", "+ ", "? ", "(", ")", "[", "]", "~3", "~1..4", "A: ", "_B.2: ", "/a+/", "/(b|c)*/",
    "/\\S+/", "/[/", "/(?=x)y/", "%ignore /\\s+/", "%import common.INT", "%declare D", "%override a: ", "%extend b: ",
    "a{x}: x", "a{b}", "//c", '"\\x41"', "..", '"a".."z"',
)  # fmt: skip


def grammar_texts() -> SearchStrategy[bytes]:
    """Grammars near valid ones."""
    return st.lists(st.sampled_from(PIECES), max_size=24).map(lambda each: "".join(["start: ", *each]).encode())


def try_grammar(case: bytes, folder: Path) -> None:
    """Read a user's grammar, and a sentence by it; one that takes long must be refused where nobody vouches for it."""
    text = case.decode(errors="replace")
    syntax = OwnSyntax.of(text, "my.lark")
    for sentence in (("x",), ("red", "twice"), ("a" * 40,)):
        with contextlib.suppress(NSRError):
            syntax.heads(sentence)


@cache
def syntaxes() -> tuple[OwnSyntax, ...]:
    """Grammars that are read."""
    return OwnSyntax.of(GRAMMAR, "my.lark"), OwnSyntax.of(SLOW, "slow.lark")


def sentences() -> SearchStrategy[bytes]:
    """Sentences of the two grammars: which one, then the words."""
    word = st.sampled_from(("red", "blue", "green", "GREEN", "grey", "twice", "after", "then", "(", ")", "é", "a" * 50))
    slow = st.tuples(st.sampled_from("ax-1y"), st.integers(0, 80), st.sampled_from("abxyz-")).map(
        lambda each: each[0] * each[1] + each[2]
    )
    return st.one_of(
        st.lists(word, max_size=12).map(lambda each: framed(0, " ".join(each))),
        st.lists(slow, max_size=3).map(lambda each: framed(1, " ".join(each))),
    )


def try_sentence(case: bytes, folder: Path) -> None:
    """The tree of a sentence by a grammar."""
    made = syntaxes()
    words = tuple(case[1:].decode(errors="replace").split())
    heads = made[(case + b"\0")[0] % len(made)].heads(words)
    if len(heads) != len(words) or sum(head < 0 for head in heads) != 1:
        raise Wrong("what a grammar gives is no tree")


# Run folders

CHANGED = (CONFIG, VOCABULARY, LEXICON, GRAMMAR_FILE, PARSER, IMAGES, SYNTAX, METRICS, MANIFEST)
GIVEN = 3  # the run with a user's grammar
WORDS = ("jump", "walk", "left", "twice", "after", "and")
PICTURE = np.full((SIDE, SIDE), 255, np.uint8)
SMALL = {"channels": "2 2 2 2", "views": 1}


def base_runs(folder: Path) -> dict[str, Path]:
    """Small runs of all kinds, made if they are not there."""
    made = {name: folder / "base" / name for name in ("words", "numbers", "images", "grammar")}
    if not (folder / "base").exists():
        words = parse_lexicon(
            LEXICONS[0] + '"walk" = (cons "I_WALK" nil)\nx0 "twice" = (append x0 x0)\n', None, PRIMITIVES["list"]
        )
        nsr.NSR("list").assemble(words).save(made["words"])
        numbers = parse_lexicon(LEXICONS[3], None, PRIMITIVES["int"])
        nsr.NSR("int").assemble(numbers).save(made["numbers"])
        images = nsr.NSR("int", **SMALL)
        images._perception = ImagePerception(images.config.images, 0, len(numbers.symbols))
        images._perception.rename(numbers.symbols)
        images.assemble(numbers)
        images._perception = None
        images.save(made["images"])
        (folder / "base" / "my.lark").write_text(
            GRAMMAR.replace("LITERAL", "NUMBER").replace("/\\S+/", '"x"').replace("literal", "word")
        )
        pairs = [("red", "R"), ("blue", "B"), ("red twice", "R R"), ("blue twice", "B B"), ("red then blue", "R B")]
        nsr.NSR("list", syntax=str(folder / "base" / "my.lark")).fit(*zip(*pairs, strict=True)).save(made["grammar"])
        for run in made.values():
            metrics = {METRICS: to_json({"task": None, "split": None, "seed": 0})}
            write_folder(run, {**read_folder(run), **metrics})
    return made


def run_examples(folder: Path) -> list[bytes]:
    """Each file of each run: which run, which file, its content."""
    runs = base_runs(folder)
    found = [
        bytes([kind, CHANGED.index(name)]) + (run / name).read_bytes()
        for kind, run in enumerate(runs.values())
        for name in CHANGED
        if (run / name).is_file() and (kind == GIVEN) == (name == SYNTAX)
    ]
    return [case for case in found if len(case) < 100_000]


def json_values() -> SearchStrategy[object]:
    """Plain data, some of it odd."""
    odd = st.sampled_from(
        (10**30, -1, 1e308, float("nan"), "\0", "\ud800", "..", "", "/etc/passwd", 2**63, True, None, 10**6)
    )
    return st.recursive(
        odd | st.integers(-2, 5) | st.sampled_from(("list", "int", "scan", "left", "tokens", *WORDS)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=2),
        max_leaves=5,
    )


def run_cases() -> SearchStrategy[bytes]:
    """A run, a file of it, and how its JSON is changed: a marker, then a place and a value."""
    return st.tuples(st.integers(0, 2), st.sampled_from((0, 1, 3, 7, 8)), st.integers(0, 200), json_values()).map(
        lambda each: framed(each[0], each[1] | 0x80, json.dumps(each[2:]))
    )


def replaced(tree: object, place: int, value: object) -> object:
    """Plain data with one part replaced: the one at a place, counted over all parts."""
    left = [place]

    def visit(part: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            left[0] = 10**9
            return value
        if isinstance(part, dict):
            return {name: visit(each) for name, each in part.items()}
        return [visit(each) for each in part] if isinstance(part, list) else part

    return visit(tree)


def try_run(case: bytes, folder: Path) -> None:
    """Load a run of which one file is changed and its checksum made right, and predict with it."""
    kind, name = (case + b"\0\0")[:2]
    file, content = CHANGED[(name & 0x7F) % len(CHANGED)], case[2:]
    base = list(base_runs(folder).values())[GIVEN if file == SYNTAX else kind % GIVEN]
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(base, run)
    if name & 0x80:
        with contextlib.suppress(ValueError, TypeError, OSError, RecursionError):
            place, value = json.loads(content)
            content = json.dumps(replaced(json.loads((run / file).read_bytes()), place, value)).encode()
    (run / file).write_bytes(content)
    if file not in (LEXICON, MANIFEST):
        manifest = json.loads((run / MANIFEST).read_bytes())
        manifest["files"][file] = hashlib.sha256(content).hexdigest()
        (run / MANIFEST).write_bytes(to_json(manifest))
    with mock.patch("nsr.syntax.own._try"):  # the process that tries a grammar takes far longer than all else
        model = nsr.load(run)
    symbols = model.modules.perception.symbols
    if isinstance(model.modules.perception, ImagePerception):
        inputs = [[PICTURE] * 3]
    else:
        inputs = [list(symbols[:3]), ["jump", "twice", "after", "walk", "left"], ["one", "^", "one"]]
    for each in inputs:
        with contextlib.suppress(NSRError):
            model.predict([each])
            model.predict_top([each], 3)
            model.deduce(each)


# Images

EACH = 12  # images of a symbol


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz file."""
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()


def symbol_arrays() -> dict[str, np.ndarray]:
    """A valid file of symbols, as arrays."""
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    writer = np.tile(np.arange(EACH), len(CLASSES))
    return {
        "images": np.zeros((len(labels), SIDE, SIDE), np.uint8),
        "labels": labels,
        "classes": np.array(CLASSES),
        "writer": writer,
        "split": (writer > EACH - 4).astype(np.int64),
    }


def picture(form: str, size: tuple[int, int] = (SIDE, SIDE), mode: str = "L") -> bytes:
    """An image file."""
    from PIL import Image

    made = io.BytesIO()
    Image.new(mode, size).save(made, form)
    return made.getvalue()


def header(shape: tuple[int, ...], kind: str) -> bytes:
    """An .npz file with arrays that claim a shape and have hardly any data."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in symbol_arrays():
            text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
            archive.writestr(
                f"{name}.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 64
            )
    return made.getvalue()


def image_examples(folder: Path) -> list[bytes]:
    """Files of symbols and of single images; the first byte says which."""
    forms = ("PNG L", "PNG RGBA", "PNG P", "JPEG RGB", "BMP RGB", "GIF P", "TIFF L", "PPM RGB")
    return [
        b"\0" + npz(symbol_arrays()),
        b"\2" + npz(symbol_arrays()),
        *(b"\1" + picture(form, mode=mode) for form, mode in map(str.split, forms)),
        b"\1%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 45 45\n%%EndComments\nshowpage\n",
    ]


def image_cases() -> SearchStrategy[bytes]:
    """Files near valid ones: arrays of other shapes, types and content; images of other sizes."""
    names = st.sampled_from(tuple(symbol_arrays()))
    kinds = st.sampled_from(("u1", "i8", "f4", "U1", "U9", "bool", "O", "c8", "M8[s]", "S3", "V3"))
    shapes = st.lists(st.sampled_from((0, 1, 2, SIDE, 192)), max_size=3).map(tuple)

    def change(each: tuple[str, str, tuple[int, ...], bool]) -> bytes:
        name, kind, shape, dropped = each
        arrays = symbol_arrays()
        if dropped:
            del arrays[name]
        else:
            arrays[name] = np.zeros(shape, kind)
        return b"\0" + npz(arrays)

    giant = st.tuples(
        st.lists(st.sampled_from((0, 1, -1, 45, 10**5, 10**9, 10**15)), max_size=3).map(tuple),
        st.sampled_from(("|u1", "<i8", "<U99", "|O")),
    )
    sizes = st.tuples(st.sampled_from((1, 45, 46, 900)), st.sampled_from((1, 45, 900)))
    return st.one_of(
        st.tuples(names, kinds, shapes, st.booleans()).map(change),
        giant.map(lambda each: b"\0" + header(*each)),
        st.tuples(st.sampled_from(("PNG", "JPEG", "BMP", "GIF")), sizes).map(
            lambda each: b"\1" + picture(each[0], each[1])
        ),
    )


def try_image(case: bytes, folder: Path) -> None:
    """Read a file of symbols, or an image file as an input of a model."""
    kind = (case + b"\0")[0] % 3
    path = folder / ("image.png" if kind == 1 else "symbols.npz")
    path.write_bytes(case[1:])
    if kind != 1:
        load_symbols(str(path), ("random", "writer", "development")[kind])
        return
    nsr.load(base_runs(folder)["images"]).predict([pictures([read_image(path)])])


# Command lines

ARGUMENTS = (
    "words", "numbers", "missing", "jump twice", "walk left", "-", "--", "", "--json", "--top", "0", "3", "-1",
    "999999999999999999999999999999", "1e9", "nan", "--log-prob", "--format", "svg", "json", "html", "--out", "out",
    "out/x", "/dev/null/x", "--notation", "readable", "--split", "simple", "length", "--test", "test.tsv",
    "bad.tsv", "--part", "validation", "--symbols", "strokes", "missing.npz", "--data-dir", ".", "scan", "pcfg",
    "hint", "pairs", "--train", "train.tsv", "--primitives", "int", "list", "--syntax", "my.lark", "bad.lark",
    "--seed", "--resume", "--from", "--beam", "--quiet", "--model", "lstm", "--size", "cpu", "--epochs",
    "--minutes", "--list", "--seeds", "--jobs", "--runs", "--no-plots", "scan-splits", "all", "list", "fetch",
    "verify", "generate", "--force", "--check", "--help", "--version", "--literals", "true", "false",
    "--separators", ",", "--input", "images", "--device", "cuda", "--trian", "\udcff", "é", "a\nb", "--hidden=7",
    "--checkpoint-seconds", "--word-order",
)  # fmt: skip


def command_lines() -> SearchStrategy[bytes]:
    """Arguments between null bytes; often a command and what it must have."""
    starts = ["predict words jump", "explain words jump", "evaluate words", "evaluate words --test test.tsv"]
    starts += ["train scan --quiet", "train pairs --train train.tsv --test test.tsv --quiet", "train hint --quiet"]
    starts += ["train-baseline scan --model lstm", "data verify scan", "data generate scan --out made"]
    starts += ["export words --out exported", *COMMANDS, *(f"data {each}" for each in data.COMMANDS), ""]
    return st.tuples(st.sampled_from(starts), st.lists(st.sampled_from(ARGUMENTS), max_size=5)).map(
        lambda each: "\0".join([*each[0].split(), *each[1]]).encode(errors="surrogateescape")
    )


def command_examples(folder: Path) -> list[bytes]:
    """Command lines that do something, in a folder with the files that they name."""
    place = folder / "place"
    place.mkdir(exist_ok=True)
    (place / "train.tsv").write_text("red\tR\nblue\tB\nred twice\tR R\nblue twice\tB B\n")
    (place / "test.tsv").write_text("jump twice\tI_JUMP I_JUMP\n")
    (place / "bad.tsv").write_text("no tab\n")
    (place / "my.lark").write_text('start: C -> word | start "twice" -> word\nC: "red" | "blue"\n')
    (place / "bad.lark").write_text("start: (")
    for name in ("words", "numbers"):
        shutil.copytree(base_runs(folder)[name], place / name, dirs_exist_ok=True)
    lines = ["predict words jump --json", "explain words jump --format svg"]
    lines += ["evaluate words --test test.tsv", "data list"]
    return [each.replace(" ", "\0").encode() for each in lines]


@dataclass
class Made:
    """What stands for a table."""

    text: str = "a table"
    failed: int = 0


def no_data(self, split: str, *, seed: int = 0, data_dir: Path | None = None) -> Dataset:
    """Stands for the loading of a benchmark, which takes seconds."""
    if split not in self.splits:
        raise ConfigError(f"no split {split!r}")
    words, output = (("1", "+", "2"), 3) if self.name == "hint" else (("jump", "twice"), ("I_JUMP", "I_JUMP"))
    examples = Examples((words,), (output,))
    return Dataset(examples, examples, "none")


def refuse(*arguments: object, **options: object) -> None:
    """Stands for what is too much for a case."""
    raise DataError("left out")


@cache
def stubs() -> contextlib.ExitStack:
    """Nothing is trained, downloaded or made a table of; all else is as it is."""
    import nsr.baselines.experiment
    import nsr.download
    import nsr.learning.training
    import nsr.model
    import nsr.reports.reproduction
    import nsr.tasks

    stack = contextlib.ExitStack()
    for task in ("Scan", "Pcfg", "Hint"):
        stack.enter_context(mock.patch.object(getattr(nsr.tasks, task), "load", no_data))
    stack.enter_context(mock.patch.object(nsr.tasks.Hint, "faults", return_value=()))
    stack.enter_context(mock.patch.object(nsr.tasks.Hint, "test_with", refuse))
    stack.enter_context(mock.patch.object(nsr.learning.training.Trainer, "run", return_value=None))
    stack.enter_context(mock.patch("nsr.start.ground", refuse))
    stack.enter_context(mock.patch("nsr.download.download", refuse))
    stack.enter_context(mock.patch("nsr.baselines.experiment.train_baseline", refuse))
    stack.enter_context(mock.patch("nsr.reports.reproduction.reproduce", return_value=Made()))
    return stack


def try_command(case: bytes, folder: Path) -> None:
    """Run a command line in this process: its status is 0, or 1, or 2 with one line on stderr."""
    stubs()
    place = folder / "place"
    argv = case.decode(errors="surrogateescape").split("\0") if case else []
    if any(each.startswith(("/", "..")) and each != "/dev/null/x" for each in argv) or len(argv) > 40:
        return  # nothing is written elsewhere
    stdin = io.StringIO("jump\nwalk twice\n")
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    with (
        contextlib.chdir(place),
        mock.patch.object(sys, "stdin", stdin),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        status = main(argv)
    stderr.flush()
    said = stderr.buffer.getvalue().decode()
    if status not in (0, 1, 2) or (status == 2 and (said.count("\n") != 1 or not said.startswith("nsr"))):
        raise Wrong(f"status {status}, stderr {said[:300]!r}")
    for name in ("out", "made", "exported", "runs"):
        shutil.rmtree(place / name, ignore_errors=True)


TARGETS: dict[str, Target] = {
    "programs": Target(
        "text of programs; what can be read is run",
        0.1,
        lambda folder: [framed(code, 2, text) for code, texts in PROGRAMS.items() for text in texts],
        st.tuples(st.integers(0, 3), st.integers(0, 3), terms()).map(lambda each: framed(*each)),
        try_program,
        tuple(each.encode() for each in (*ATOMS, *(f"({name} " for name in NAMES), ")", "(append x0 x0)")),
    ),
    "lexicons": Target(
        "text of lexicon.nsr; what can be read is run",
        0.1,
        lambda folder: [framed(code, text) for code, text in LEXICONS.items()],
        lexicon_texts(),
        try_lexicon,
        tuple(each.encode() for each in (*ATOMS, *NAMES, " = ", "\n", "(", ")", '"jump"')),
    ),
    "pairs": Target(
        "files of pairs, .tsv and .jsonl",
        0.55,
        lambda folder: [
            b"\0jump twice\tI_JUMP I_JUMP\nwalk\tI_WALK\n",
            b'\1{"input": "jump", "output": ["I_JUMP"]}\n{"input": ["a"], "output": ""}\n',
            b"\2one\t1\ntwo\t2\n",
            b'\3{"input": "one", "output": 1}\n',
        ],
        pair_files(),
        try_pairs,
        (b"\t", b"\n", b"\r\n", b"\xef\xbb\xbf", b"[" * 3000, b"9" * 5000, *rb'" { } [ ] null 1e999 \ud800'.split()),
    ),
    "grammars": Target(
        "grammars of users, --syntax FILE.lark",
        0.02,
        lambda folder: [GRAMMAR.encode(), SLOW.encode()],
        grammar_texts(),
        try_grammar,
        tuple(each.encode() for each in PIECES),
        25.0,
    ),
    "sentences": Target(
        "sentences read by grammars of users, one of them with slow patterns",
        0.19,
        lambda folder: [b"\0red twice after ( blue then green ) then x", b"\1aaab xxxz"],
        sentences(),
        try_sentence,
        (b" ", b"red", b"twice", b"after", b"then", b"(", b")", b"a" * 60, b"x" * 60, b"1" * 60),
    ),
    "runs": Target(
        "run folders with one file changed, loaded and asked",
        0.01,
        run_examples,
        run_cases(),
        try_run,
        (b"9" * 40, b'"..", ', *rb"{ } [ ] , null 1e999 -1 \u0000 \ud800 true 1000000".split()),
        10.0,
    ),
    "images": Target(
        ".npz files of symbols and image files",
        0.01,
        image_examples,
        image_cases(),
        try_image,
        (b"\x93NUMPY", b"IHDR", b"PK\x01\x02", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00"),
    ),
    "commands": Target(
        "command lines of all commands, in this process; training, downloads and tables left out",
        0.02,
        command_examples,
        command_lines(),
        try_command,
        tuple(b"\0" + each.encode(errors="surrogateescape") for each in ARGUMENTS),
        20.0,
    ),
}
torch.set_num_threads(1)
