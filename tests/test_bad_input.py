"""Bad input ends in one clear error: in time, in memory, without running code and without writing elsewhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import torch as safetensors

import nsr
from nsr.cli.main import main
from nsr.data import verify
from nsr.errors import ConfigError, DataError, InputError, NSRError, ProgramError, RunError
from nsr.files import read_arrays, read_file
from nsr.learning.config import Config
from nsr.runs import MANIFEST, read_folder, remove_checkpoint, write_checkpoint, write_file
from nsr.semantics.execution import Executor
from nsr.semantics.lexicon import parse_lexicon
from nsr.semantics.notation import parse_program
from nsr.semantics.primitives import PRIMITIVES
from nsr.semantics.programs import MAX_NUMBER
from nsr.semantics.values import MISSING
from nsr.syntax.own import OwnSyntax
from nsr.syntax.patterns import PatternError, pattern
from nsr.tasks import make_task
from nsr.tasks.pairs import outputs, read_pairs
from nsr.tasks.symbols import load_symbols, read_image

ROOT = Path(__file__).resolve().parents[1]
LEXICON = '"jump" = (cons "J" nil)\nx0 "twice" = (append x0 x0)\n'


@pytest.fixture
def run(tmp_path) -> Path:
    """A small run."""
    folder = tmp_path / "run"
    nsr.NSR("list").assemble(parse_lexicon(LEXICON, None, PRIMITIVES["list"])).save(folder)
    return folder


def put(run: Path, name: str, content: bytes) -> None:
    """Change a file of a run and make its checksum right, as whoever means harm would."""
    (run / name).write_bytes(content)
    manifest = json.loads((run / MANIFEST).read_bytes())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def change(run: Path, name: str, **parts: object) -> None:
    """Change parts of a JSON file of a run."""
    put(run, name, json.dumps({**json.loads((run / name).read_bytes()), **parts}).encode())


# Programs


@pytest.mark.parametrize(
    ("text", "primitives", "arguments"),
    [
        ("(append (append x0 x0) (append x0 x0))", "list", [("A",) * 3000]),
        ('(fold x0 (cons "A" nil) (append rest rest))', "list-recursive", [("A",) * 100]),
        ("(incr x0)", "int", [MAX_NUMBER]),
        ("(fix (if0 x0 1 (apply (fix (if0 x1 0 (rec x0 (decr0 x1)))) (rec (incr x0)) 2)))", "int", [1]),
        ("(fix (rec (incr x0)))", "int", [1]),
        ("(fix (if0 x0 x1 (rec (decr0 x0) (rec (decr0 x0) (incr x1)))))", "int", [40, 1]),
        ("(fix (if0 x0 0 (rec x0)))", "int", [7]),
    ],
    ids=[
        "doubled",
        "doubled in a fold",
        "one too many",
        "without end",
        "larger without end",
        "twice each",
        "in a circle",
    ],
)
def test_what_grows_without_end_has_no_value(text, primitives, arguments):
    made = PRIMITIVES[primitives]
    began = time.process_time()
    assert Executor().run(parse_program(text, made, len(arguments)), arguments) is MISSING
    assert time.process_time() - began < 5


def test_numbers_multiplied_again_and_again_are_bounded():
    lexicon = parse_lexicon(
        'x0 "+" x1 = (fix (if0 x1 x0 (incr (rec x0 (decr0 x1)))))\n'
        'x0 "*" x1 = (fix (if0 x1 0 ("+" x0 (rec x0 (decr0 x1)))))\n'
        'x0 "^" x1 = (fix (if0 x1 1 ("*" x0 (rec x0 (decr0 x1)))))\n',
        None,
        PRIMITIVES["int"],
    )
    power = lexicon.entries[2, 2].program
    executor = Executor()
    assert executor.run(power, (10, 17)) == 10**17
    assert executor.run(power, (10, 18)) is MISSING
    assert executor.run(power, (MAX_NUMBER, MAX_NUMBER)) is MISSING


def test_the_work_of_folds_is_bounded():
    """Lists within the bound, but each step copies a long one many times."""
    step = "rest"
    for _ in range(38):
        step = f"(cdr (cons item {step}))"
    term = parse_program(f"(fold x0 x1 {step})", PRIMITIVES["list-recursive"], 2)
    assert Executor().run(term, (("A",) * 10, ("B",) * 5000)) == ("B",) * 5000
    assert Executor().run(term, (("A",) * 10_000, ("B",) * 5000)) is MISSING
    reverse = parse_program("(fold x0 nil (append rest (cons item nil)))", PRIMITIVES["list-recursive"], 1)
    longest = tuple(map(str, range(10_000)))
    assert Executor().run(reverse, (longest,)) == longest[::-1], "the longest list can be reversed"


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "(cdr " * 50_000 + "x0" + ")" * 50_000, '"' + "\\" * 100_001, "x" + "9" * 50_000]
)
def test_deep_and_long_text_of_programs_is_refused(text):
    with pytest.raises(ProgramError):
        parse_program(text, PRIMITIVES["list"], 1)


# Patterns of a user's grammar

SIMPLE = st.sampled_from(("a", "b", "[ab]", "[^a]", r"\w", ".", "^", "$", r"\b", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)"))
PATTERNS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda each: f"(?:{each[0]}|{each[1]})"),
        st.tuples(inner, st.sampled_from(("*", "+", "?", "{0,2}", "{2}", "*?"))).map(
            lambda each: f"(?:{each[0]}){each[1]}"
        ),
        inner.map(lambda each: f"(?i:{each})"),
    ),
    max_leaves=6,
)


@given(PATTERNS, st.text("abAB ", max_size=6))
def test_patterns_match_what_they_match_by_re(text, word):
    assert pattern(text).matches(word) == (re.fullmatch(text, word) is not None)


@pytest.mark.parametrize("text", ["(a+)+b", "(a|aa)*b", "(?:a*)*b", "(?:a|b|ab)*c", "(?=(a+)+c)a*", "a*a*a*a*a*a*b"])
def test_what_is_exponential_by_re_is_matched_in_time(text):
    began = time.process_time()
    assert not pattern(text).matches("a" * 100)
    assert time.process_time() - began < 5


def test_a_word_that_takes_too_many_steps_is_refused():
    syntax = OwnSyntax.of("start: WORD -> word\nWORD: /((?!(a+)+b)a)+/", "my.lark")
    with pytest.raises(InputError, match=r"'aaa.*' cannot be read: the pattern of WORD takes more than"):
        syntax.heads(("a" * 5000,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"/(a)\1/", "line 2, column 1: the pattern of WORD has a back reference"),
        ("/((a{1,300}){1,300}b){2}/", "line 2, column 1: the pattern of WORD has more than 50000 states"),
        ("/[[a]/", "FutureWarning|Possible nested set"),
    ],
)
def test_what_cannot_be_matched_in_time_is_no_pattern(text, message):
    with pytest.raises(DataError, match=message):
        OwnSyntax.of(f"start: WORD -> word\nWORD: {text}", "my.lark")


@pytest.mark.parametrize("depth", [200, 250, 300, 2000])
@pytest.mark.parametrize("begin", ["(?=", "(?!", "(?:b|"])
def test_deep_patterns_are_refused_when_the_grammar_is_read(begin, depth):
    text = f"start: WORD -> word\nWORD: /{begin * depth}a+b*{')' * depth}a+b*/"
    with pytest.raises(DataError, match=r"my\.lark: "):
        OwnSyntax.of(text, "my.lark")


@pytest.mark.parametrize("depth", [101, 400])
def test_patterns_are_only_so_deep(depth):
    assert pattern(f"{'(?=' * 98}a+b*{')' * 98}a+b*").matches("aab")
    with pytest.raises(PatternError, match="more than 100 parts inside each other"):
        pattern(f"{'(?=' * depth}a+b*{')' * depth}a+b*")


def test_a_back_reference_cannot_be_matched():
    with pytest.raises(PatternError, match="back reference"):
        pattern(r"(a|b)\1")


# Files


def test_only_files_are_read(tmp_path):
    """Not what has no end, or is waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, reason in (("pipe", "a pipe or a device"), ("zero", "a pipe or a device"), ("a\0b", "no file can have")):
        with pytest.raises(OSError, match=reason):
            read_file(tmp_path / name)
        with pytest.raises(DataError, match=reason):
            read_pairs(tmp_path / name)
    (tmp_path / "large").write_bytes(b"12345")
    assert read_file(tmp_path / "large", 5) == b"12345"
    with pytest.raises(OSError, match="more than"):
        read_file(tmp_path / "large", 4)


@pytest.mark.parametrize("space", [" ", "\x1c", "\x1f", "\x85", "\xa0", "\u2003"])
def test_whatever_space_stands_around_a_number(space):
    """``int`` does not know all that ``strip`` removes; found by scripts/fuzz.py."""
    path = Path("my.tsv")
    assert outputs([("two", f"{space}2{space}")], PRIMITIVES["int"], path) == (2,)


# Run folders


@pytest.mark.parametrize("name", ["..", "../secret.json", "/etc/passwd", "a\0b", "\ud800", "", ".", "a/b"])
def test_a_manifest_names_only_files_of_its_folder(name, run):
    manifest = json.loads((run / MANIFEST).read_bytes())
    manifest["files"][name] = "0"
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match="is not a file name"):
        nsr.load(run)


def test_a_manifest_without_the_lexicon_is_refused(run):
    manifest = json.loads((run / MANIFEST).read_bytes())
    del manifest["files"]["lexicon.nsr"]
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match=r"is damaged: 'lexicon\.nsr' is missing"):
        nsr.load(run)


@pytest.mark.parametrize("files", [[], 7, None, {str(number): "0" for number in range(40)}])
def test_a_manifest_that_is_none_is_refused(files, run):
    manifest = json.loads((run / MANIFEST).read_bytes())
    (run / MANIFEST).write_text(json.dumps({**manifest, "files": files}), encoding="utf-8")
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        read_folder(run)


def test_a_link_to_what_has_no_end_is_not_followed(run):
    (run / "lexicon.nsr").unlink()
    (run / "lexicon.nsr").symlink_to("/dev/zero")
    with pytest.raises(RunError, match="cannot be read: it is a pipe or a device"):
        nsr.load(run)


def test_a_pickle_is_not_read(run, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    for name in ("parser.safetensors", "config.json", "grammar.json", "vocabulary.json"):
        before = (run / name).read_bytes()
        put(run, name, pickle.dumps(Evil()))
        with pytest.raises(RunError):
            nsr.load(run)
        put(run, name, before)
    assert not (tmp_path / "touched").exists()
    nsr.load(run)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("config.json", {"seed": -1}),
        ("config.json", {"seed": 10**30}),
        ("config.json", {"constants": [1]}),
        ("config.json", {"settings": {"parser": {"hidden": 10**9}}}),
        ("config.json", {"settings": {"parser": {"embedding": 10**9}}}),
        ("config.json", {"settings": {"learning": {"beam": 10**9}}}),
        ("config.json", {"settings": {"learning": {"max_length": 10**12}}}),
        ("config.json", {"settings": {"images": {"channels": "9999999 9 9 9"}}}),
        ("config.json", {"task": {"name": "hint", "options": {"symbols": 5}}}),
        ("config.json", {"task": {"name": "pairs", "options": {"train": "a\0b"}}}),
        ("grammar.json", {"class_of": [1e999, 0]}),
        ("grammar.json", {"class_of": [10**30, 0]}),
        ("grammar.json", {"accepts": [{"head": 1.0, "side": "left", "place": 0, "classes": [0]}]}),
        ("grammar.json", {"accepts": [{"head": 1, "side": "left", "place": True, "classes": [0]}]}),
        ("vocabulary.json", {"words": ["jump", 7]}),
    ],
)
def test_wrong_content_with_a_right_checksum_is_refused(name, parts, run):
    change(run, name, **parts)
    with pytest.raises(NSRError) as error:
        nsr.load(run)
    assert str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"1" * 100_000,
        b"\xff\xfe",
        b'"\\ud800"',
    ],
)
@pytest.mark.parametrize("name", ["config.json", "grammar.json", "vocabulary.json", MANIFEST])
def test_json_that_is_deep_or_odd_is_refused(name, content, run):
    if name == MANIFEST:
        (run / name).write_bytes(content)
    else:
        put(run, name, content)
    with pytest.raises(RunError, match="is damaged"):
        nsr.load(run)


def test_a_file_that_is_too_large_is_not_read(run, monkeypatch):
    monkeypatch.setattr("nsr.files.read_file.__defaults__", (100,))
    with pytest.raises(RunError, match="cannot be read: it has more than"):
        nsr.load(run)


def test_a_deep_listing_of_generated_data_is_refused(tmp_path):
    (tmp_path / "data.json").write_bytes(b"[" * 200_000)
    with pytest.raises(DataError, match=r"data\.json is damaged"):
        verify("scan", tmp_path)


@pytest.mark.parametrize("metrics", [b"[]", b"7", b'{"split": {}}', b'{"data_dir": 7}', b"[" * 100_000])
def test_metrics_that_are_none_are_refused(metrics, run):
    put(run, "metrics.json", metrics)
    with pytest.raises(RunError, match=r"metrics\.json is damaged"):
        nsr.load(run)


@pytest.mark.parametrize("shape", [[10**15], [2**62, 4], [-1], ["a"]])
def test_weights_that_claim_a_giant_shape_are_refused(shape, run):
    header = json.dumps({"bias": {"dtype": "F32", "shape": shape, "data_offsets": [0, 8]}}).encode()
    put(run, "parser.safetensors", struct.pack("<Q", len(header)) + header + b"\0" * 8)
    with pytest.raises(RunError, match="is damaged"):
        nsr.load(run)


@pytest.mark.parametrize("size", [2**63 - 1, 2**40, 10**6])
def test_weights_with_a_giant_header_are_refused(size, run):
    put(run, "parser.safetensors", struct.pack("<Q", size) + b"{}")
    with pytest.raises(RunError, match="is damaged"):
        nsr.load(run)


@pytest.mark.parametrize(("name", "value"), [("view_index", 99), ("like", -1), ("like", 99), ("bias", float("nan"))])
def test_weights_that_point_nowhere_are_refused(name, value, run):
    weights = safetensors.load((run / "parser.safetensors").read_bytes())
    weights[name].fill_(value)
    put(run, "parser.safetensors", safetensors.save(weights))
    with pytest.raises(RunError, match="is damaged"):
        nsr.load(run)


def test_too_many_symbols_for_the_parser_are_refused(monkeypatch):
    monkeypatch.setattr("nsr.start.MAX_UNITS", 1000)
    with pytest.raises(ConfigError, match="symbols are too many"):
        nsr.NSR("list").assemble(parse_lexicon(LEXICON, None, PRIMITIVES["list"]))


def test_a_file_is_not_written_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine", encoding="utf-8")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.json.new").symlink_to(outside)  # what the writing of config.json uses meanwhile
    (folder / "config.json").symlink_to(outside)
    write_file(folder / "config.json", b"{}")
    assert outside.read_text(encoding="utf-8") == "mine"
    assert (folder / "config.json").read_bytes() == b"{}"
    assert not (folder / "config.json").is_symlink()


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint.new", "checkpoint.old"])
def test_a_checkpoint_is_not_written_through_a_link(name, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text("mine", encoding="utf-8")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(outside)
    write_checkpoint(folder / "checkpoint", {"config.json": b"{}"})
    assert read_folder(folder / "checkpoint") == {"config.json": b"{}"}
    remove_checkpoint(folder / "checkpoint")
    assert list(folder.iterdir()) == []
    assert {path.name: path.read_text(encoding="utf-8") for path in outside.iterdir()} == {"config.json": "mine"}


@pytest.mark.parametrize("options", [{"symbols": 7}, {"shots": True}, {"quick": 1}])
def test_options_of_a_task_are_of_their_kind(options):
    with pytest.raises(ConfigError, match=f"option '{next(iter(options))}' must be of the kind of"):
        make_task("hint", **options)


@pytest.mark.parametrize("name", ["dropout", "smoothing"])
def test_shares_are_at_most_one(name):
    with pytest.raises(ConfigError, match=f"option '{name}' must be from 0 to 1, not 2.0"):
        Config.of(**{name: 2})


@pytest.mark.parametrize("name", ["image_batch", "views", "decoded", "least"])
def test_numbers_of_what_is_looked_at_are_not_zero(name):
    with pytest.raises(ConfigError, match=f"option '{name}' must be 1 or more, not 0"):
        Config.of(**{name: 0})


def test_options_of_a_task_may_be_paths(tmp_path):
    task = make_task("hint", input="images", symbols=tmp_path / "s.npz")
    assert json.loads(json.dumps(task.assumptions()))["symbols"] == str(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("scan", {"concept": "x"}, "task 'scan' has no option 'concept'; known options: word_order"),
        ("hint", {"train": "a.tsv"}, "task 'hint' has no option 'train'; known options: input, concept, "),
        ("scan", {"nosuch": 1}, "unknown option 'nosuch'; known options: "),
    ],
)
def test_options_of_another_task_are_refused(task, options, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        nsr.train(task, **options)


def test_images_are_trained_on_for_some_steps():
    """One cycle of the learning rate has no fewer."""
    with pytest.raises(ConfigError, match="option 'image_steps' must be 10 or more, not 5"):
        Config.of(image_steps=5)


def test_a_mistyped_setting_is_answered_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"^unknown option 'ruonds'; did you mean rounds\?$"):
        Config.of(ruonds=5)
    with pytest.raises(ConfigError, match=r"^unknown option 'x'; known options: abduce, accept, "):
        Config.of(x=5)


def test_only_a_model_is_evaluated(run):
    with pytest.raises(ConfigError, match=r"is no model; nsr.load\(folder\) reads one"):
        nsr.evaluate(str(run))


@pytest.mark.parametrize("more", [{"part": "validation"}, {"split": "hint"}, {"data_dir": "data"}])
def test_with_other_images_only_the_test_is_evaluated(more):
    model = nsr.NSR("int")
    model.task = make_task("hint")
    with pytest.raises(ConfigError, match="leave out split, part and data_dir"):
        nsr.evaluate(model, symbols="strokes", **more)


@pytest.mark.parametrize("channels", ["", "1 2 3", "1 2 3 x", "1 2 3 0", "1 2 3 1000", "1 2 3 4 5"])
def test_channels_are_four_sizes(channels):
    with pytest.raises(ConfigError, match="option 'channels' must be 4 whole numbers"):
        Config.of(channels=channels)


# Images


def giant(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    """An array in numpy's format that claims a shape and has hardly any data."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape!r}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64


@pytest.mark.parametrize(
    "array", [giant((10**12, 45, 45)), giant((2**62, 2**62)), giant((-1,)), giant((8,), "|O"), b"\x93NUMPY\x09\x00"]
)
def test_arrays_that_claim_a_giant_shape_are_refused(array, tmp_path):
    path = tmp_path / "symbols.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", array)
    with pytest.raises(DataError, match=r"symbols\.npz is not an \.npz file of symbols: "):
        load_symbols(str(path))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, images=np.zeros(10**7, np.uint8))
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match="unpacked, it has more than"):
        read_arrays(path, ["images"], 10**6)
    assert len(read_arrays(path, ["images"])["images"]) == 10**7


def png(width: int, height: int) -> bytes:
    """A small image file that claims to be of this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "size", [(10_000, 10_000), (12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (46, 45)]
)
def test_an_image_of_another_size_is_not_unpacked(size, tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    with pytest.raises(DataError, match=r"bomb\.png (must be of 45 x 45 pixels|is no readable image)"):
        read_image(path)


@pytest.mark.parametrize("form", ["EPS", "PDF", "PPM"])
def test_only_some_kinds_of_image_files_are_read(form, tmp_path):
    """Reading EPS starts Ghostscript."""
    image = pytest.importorskip("PIL.Image")
    made = io.BytesIO()
    image.new("L", (45, 45)).save(made, form)
    path = tmp_path / "image.png"
    path.write_bytes(made.getvalue())
    with pytest.raises(DataError, match="is no readable image"):
        read_image(path)
    image.new("L", (45, 45)).save(path, "PNG")
    assert read_image(path).shape == (45, 45)


# The command line


def test_what_a_terminal_would_act_on_is_spelled(run, capsys):
    assert main(["predict", str(run), "\x1b[2Jjump\rhop"]) == 2
    assert capsys.readouterr().err.startswith("nsr: unknown word '\\x1b[2Jjump'")
    assert main(["predict", "a\x1b[2J\nb", "jump"]) == 2
    assert capsys.readouterr().err == "nsr: a\\x1b[2J b is not a run folder: it does not exist\n"


# All of it at random


def fuzz(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", str(ROOT / "scripts" / "fuzz.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_some_cases_of_each_kind_survive():
    done = fuzz("programs", "lexicons", "pairs", "sentences", "--cases", "2000", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| all \| \| 2,000 \| 2,000 \| 0 \|", done.stdout, re.M)


@pytest.mark.parametrize("arguments", [["nosuch"], ["--replay", "nosuch-0"]])
def test_a_target_that_does_not_exist_is_named(arguments):
    done = fuzz(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown target 'nosuch'; known targets: programs")


def test_a_case_that_does_not_exist_is_named():
    done = fuzz("--replay", "nosuch/runs-0")
    assert (done.returncode, done.stderr) == (2, "error: nosuch/runs-0 does not exist\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["programs", "lexicons", "pairs", "grammars", "sentences", "runs", "images", "commands"]
)
def test_more_cases_survive(target):
    done = fuzz(target, "--cases", "10000", "--seconds", "6", "--seed", "2")
    assert done.returncode == 0, done.stderr
