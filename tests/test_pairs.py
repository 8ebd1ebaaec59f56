"""Own pairs: files, the runs they make, what is told about them, and own primitives."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import nsr
import nsr.experiment
from nsr.cli.main import main
from nsr.errors import ConfigError, DataError
from nsr.learning.config import KnowledgeConfig
from nsr.review import notes, review
from nsr.semantics.compilation import compile_term
from nsr.semantics.inversion import invert
from nsr.semantics.notation import parse_program
from nsr.semantics.own import register_primitives
from nsr.semantics.primitives import Primitive, Type
from nsr.semantics.values import MISSING
from nsr.tasks.pairs import Pairs, read_pairs
from nsr.tasks.task import Examples

COLOURS = ("red", "blue", "green", "black")
TRAIN = [
    *((each, each.upper()) for each in COLOURS),
    *((f"{each} twice", f"{each.upper()} {each.upper()}") for each in COLOURS),
    *((f"{one} and {other}", f"{one.upper()} {other.upper()}") for one in COLOURS for other in COLOURS),
]
TEST = [("red and blue and green", "RED BLUE GREEN"), ("black twice and red", "BLACK BLACK RED")]


def write(path: Path, pairs) -> Path:
    path.write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
    return path


def examples(*pairs) -> Examples:
    return Examples(*zip(*((tuple(one.split()), tuple(other.split())) for one, other in pairs), strict=True))


@pytest.fixture
def files(tmp_path, monkeypatch) -> tuple[str, ...]:
    """Options that name files in the working folder."""
    monkeypatch.chdir(tmp_path)
    return ("--train", str(write(Path("train.tsv"), TRAIN)), "--test", str(write(Path("test.tsv"), TEST)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with files and their finished run; do not change it."""
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(Path("train.tsv"), TRAIN)
        write(Path("test.tsv"), TEST)
        command = ["train", "pairs", "--train", "train.tsv", "--test", "test.tsv", "--out", "run", "--quiet"]
        assert main(command) == 0
    return folder


@pytest.fixture
def workplace(trained, tmp_path, monkeypatch) -> Path:
    """A copy of it, the working folder."""
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def refused(capsys):
    """Run a command that must fail with status 2 and one line on stderr; returns the line."""

    def call(*argv: object) -> str:
        capsys.readouterr()
        assert main([str(each) for each in argv]) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        return printed.err.rstrip("\n")

    return call


# Files


def test_pairs_of_json_are_text_tokens_or_numbers(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        '{"input": "a b", "output": ["c d", "e"]}\r\n{"output": 7, "input": ["a b"]}\n{"input":"a","output":""}'
    )
    assert read_pairs(path) == [("a b", ("c d", "e")), (("a b",), 7), ("a", "")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\tb", ":2: expected {"),
        ('["a", "b"]', ":2: expected {"),
        ('{"input": "a"}', ":2: expected {"),
        ('{"input": "a", "output": "b", "weight": 1}', ":2: expected {"),
        ("", ":2: expected {"),
        ("[" * 100_000, ":2: expected {"),
        ('{"input": 3, "output": "b"}', ":2: the input must be text or a list of tokens"),
        ('{"input": ["a", 1], "output": "b"}', ":2: the input must be text or a list of tokens"),
        ('{"input": "a", "output": true}', ":2: the output must be text, a list of tokens or a number"),
        ('{"input": "a", "output": 1.5}', ":2: the output must be text, a list of tokens or a number"),
        ('{"input": " ", "output": "b"}', ":2: empty input"),
        ('{"input": [], "output": "b"}', ":2: empty input"),
        (r'{"input": "\ud800", "output": "b"}', r":2: an escape such as \ud800 is half a character"),
        (r'{"input": "a", "output": ["\udfff"]}', r":2: an escape such as \ud800 is half a character"),
    ],
)
def test_a_faulty_line_of_json_is_named(line, message, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(f'{{"input": "a", "output": "b"}}\n{line}\n')
    with pytest.raises(DataError) as error:
        read_pairs(path)
    assert str(error.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("name", ["train.tsv", "test.tsv"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, " does not exist"),
        (b"", " is empty"),
        (b"red\tRED\nblue BLUE\n", ":2: expected an input, a tab and an output, found 0 tabs"),
        (b"red\tRED\tR\n", ":1: expected an input, a tab and an output, found 2 tabs"),
        (b"red\t\xff\n", " is not UTF-8 text"),
    ],
)
def test_a_faulty_file_is_refused_before_anything_is_written(name, content, message, files, refused):
    Path(name).unlink()
    if content is not None:
        Path(name).write_bytes(content)
    assert refused("train", "pairs", *files, "--out", "run").startswith(f"nsr: {name}{message}")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--primitives", "lists"),
            "nsr: unknown primitives 'lists'; did you mean list? (own ones must be registered ",
        ),
        (
            ("--primitives", "int"),
            "nsr: train.tsv:1: the output must be a whole number, 0 or more, of at most 18 digits",
        ),
        (("--split", "all"), "nsr: pairs has no split 'all'; known splits: files"),
        (("--data-dir", "."), "nsr: pairs has files of its own"),
        (("--train", ""), "nsr: pairs needs files: --train FILE and --test FILE"),
        (("--train", "."), "nsr: . cannot be read: "),
        (("--test-sha256", "0"), "nsr: test.tsv is not the file of this run"),
        (("--syntax", "given"), "nsr: pairs cannot give the syntax"),
    ],
)
def test_train_refuses(options, message, files, refused):
    assert refused("train", "pairs", *files, *options, "--out", "run").startswith(message)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("output", "shown"), [("-3", "'-3'"), ("3.0", "'3.0'"), ("٣", "'٣'"), ("9" * 19, f"'{'9' * 19}'"), ("", "''")]
)
def test_numbers_are_what_programs_can_be_written_with(output, shown, tmp_path):
    path = write(tmp_path / "train.tsv", [("one", "1"), ("two", output)])
    with pytest.raises(DataError, match=":2: the output must be a whole number, 0 or more") as error:
        Pairs(train=str(path), test=str(path), primitives="int").load("files")
    assert str(error.value).endswith(f"not {shown}")


def test_lists_are_no_numbers(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"input": "one", "output": 1}\n')
    with pytest.raises(DataError, match=":1: the output must be tokens, not the number 1; --primitives int"):
        Pairs(train=path, test=path).load("files")
    assert Pairs(train=path, test=path, primitives="int").load("files").test.outputs == (1,)


def test_words_of_the_test_that_training_lacks_are_found_before_training(files, refused):
    write(Path("test.tsv"), [*TEST, ("red or blue", "RED")])
    message = "nsr: test pair 3: no training input has the word 'or'"
    assert refused("train", "pairs", *files, "--out", "run").startswith(message)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "run"), "no training input has the word 'or'; add some, or --literals if words denote themselves$"),
        (("--literals",), "no training input has the word 'or'; add some$"),
        (("--examples", "1"), r"no training input that is drawn has the word '\w+'; raise --examples$"),
    ],
    ids=["on a base", "literals that are none", "drawn"],
)
def test_words_that_could_not_be_read_are_found_before_training(options, message, workplace, refused, monkeypatch):
    monkeypatch.setattr(nsr.NSR, "fit", lambda *args: pytest.fail("was trained"))
    write(Path("train.tsv"), [("pink", "PINK"), ("grey", "GREY")])
    write(Path("test.tsv"), [("pink grey or", "PINK")])
    refusal = refused("train", "pairs", "--train", "train.tsv", "--test", "test.tsv", *options, "--out", "new")
    assert re.fullmatch(f"nsr: test pair 1: {message}", refusal)


def test_words_of_the_test_may_be_those_of_the_base(workplace):
    write(Path("train.tsv"), [("pink", "PINK"), ("pink twice", "PINK PINK")])
    write(Path("test.tsv"), [("pink and red", "PINK RED")])
    command = ["train", "pairs", "--train", "train.tsv", "--test", "test.tsv", "--from", "run", "--out", "new"]
    assert main(command) == 0
    assert nsr.load("new").metrics["test"]["accuracy"] == 100.0


def test_there_is_no_data_to_generate_fetch_or_verify(tmp_path, refused):
    for command in (["generate", "pairs", "--out", tmp_path / "out"], ["fetch", "pairs"], ["verify", "pairs"]):
        assert "the data of pairs are your own files" in refused("data", *command)
    assert not (tmp_path / "out").exists()


# Runs


def test_a_run_is_as_any_other(workplace, capsys):
    assert main(["predict", "run", "green and black twice"]) == 0
    assert main(["explain", "run", "green twice"]) == 0
    assert main(["evaluate", "run"]) == 0
    assert main(["evaluate", "run", "--test", str(write(Path("own.tsv"), TRAIN[:3] + [("red", "BLUE")]))]) == 0
    Path("own.jsonl").write_text('{"input": ["red"], "output": ["RED"]}\n')
    assert main(["evaluate", "run", "--test", "own.jsonl", "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("GREEN BLACK BLACK\n")
    assert "(append x0 x0)" in printed
    assert "tokens=4 100.00%" in " ".join(printed.split())
    assert "accuracy 75.00%" in " ".join(printed.split())
    assert json.loads(printed.splitlines()[-1])["accuracy"] == 100.0


def test_metrics_say_what_was_learned_from_what(trained):
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == 100.0
    assert metrics["train"] | {"accuracy": 100.0, "unexplained": [], "without_program": []} == metrics["train"]
    assumptions = metrics["assumptions"]
    assert [assumptions[name] for name in ("train", "test", "primitives", "data")] == [
        "train.tsv",
        "test.tsv",
        "list",
        "train.tsv, test.tsv",
    ]
    assert len(bytes.fromhex(assumptions["train_sha256"])) == 32


@pytest.mark.parametrize("name", ["train.tsv", "test.tsv"])
def test_files_that_changed_are_refused(name, workplace, refused, capsys):
    resume = ("train", "pairs", "--train", "train.tsv", "--test", "test.tsv", "--out", "run", "--resume")
    assert main([*resume]) == 0
    write(Path(name), TRAIN[:9])
    assert refused("evaluate", "run").startswith(f"nsr: {name} is not the file of this run")
    assert f"was begun with {name[:-4]}_sha256 = " in refused(*resume)
    Path(name).unlink()
    assert refused("evaluate", "run") == f"nsr: {name} does not exist"
    assert main(["predict", "run", "red"]) == 0


def test_a_run_that_was_stopped_is_resumed(files, monkeypatch):
    class Stop(Exception):
        pass

    def save_and_stop(self, *state):
        save(self, *state)
        raise Stop

    save = nsr.experiment.Run.save
    monkeypatch.setattr(nsr.experiment.Run, "save", save_and_stop)
    options = {"train": "train.tsv", "test": "test.tsv", "out": "run", "checkpoint_seconds": 0}
    with pytest.raises(Stop):
        nsr.train("pairs", **options)
    monkeypatch.setattr(nsr.experiment.Run, "save", save)
    assert nsr.train("pairs", resume=True, **options).metrics["test"]["accuracy"] == 100.0
    assert nsr.load("run").predict(["red twice"]) == [("RED", "RED")]


# What is told


def test_contradictions_are_told_before_training():
    told = notes(examples(("a b", "x"), ("a", "x"), ("a b", ""), ("a", "x"), ("a b", "x")), KnowledgeConfig())
    assert told == ["contradiction: 'a b' has the outputs 'x' and ''"]
    many = [(f"w{index}", output) for index in range(7) for output in "xy"]
    told = notes(examples(*many), KnowledgeConfig())
    assert len(told) == 6
    assert told[-1] == "contradiction: 2 more inputs have several outputs"


def test_literals_are_suggested_unless_they_are_set():
    pairs = examples(*((f"copy {letter} {letter}", f"{letter} {letter}") for letter in "abcd"), ("end", "stop"))
    hint = "hint: 4 words occur in inputs and in outputs; if they denote themselves, add --literals"
    assert notes(pairs, KnowledgeConfig()) == [hint]
    assert notes(pairs, KnowledgeConfig(literals=True)) == []
    few = examples(("copy a", "a"), *((f"say {word}", word.upper()) for word in "bcd"))
    assert notes(few, KnowledgeConfig()) == []


def test_separators_are_suggested_where_a_word_never_changes_anything():
    polite = [(f"please {one}", other) for one, other in TRAIN[:3]]
    hint = "hint: 3 inputs have the same output without 'please'; if it means nothing, add --separators 'please'"
    assert notes(examples(*TRAIN, *polite), KnowledgeConfig()) == [f"{hint} --between false"]
    assert notes(examples(*TRAIN, *polite), KnowledgeConfig(separators="please")) == []
    assert notes(examples(*TRAIN, *polite[:2]), KnowledgeConfig()) == []
    assert notes(examples(*TRAIN, *polite, ("please red twice", "RED")), KnowledgeConfig()) == []
    between = [(f"{one} , and {other}", f"{one.upper()} {other.upper()}") for one in COLOURS for other in COLOURS]
    (told,) = notes(examples(*TRAIN, *between), KnowledgeConfig())
    assert told.endswith("add --separators ','")


def test_numbers_have_no_literals():
    assert notes(Examples((("one",), ("two",)), (1, 2)), KnowledgeConfig()) == []


def test_what_is_not_explained_is_shown_below_the_summary(files, capsys):
    write(Path("train.tsv"), [*TRAIN, ("red and red", "RED"), ("blue", "RED")])
    assert main(["train", "pairs", *files, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "contradiction: 'blue' has the outputs 'BLUE' and 'RED'",
        "contradiction: 'red and red' has the outputs 'RED RED' and 'RED'",
    ]
    *lines, metrics = printed.out.splitlines()
    assert lines[4:] == [
        "explained      92.31% of 26 training pairs",
        "  blue",
        "    expected  RED",
        "    answered  BLUE",
        "  red and red",
        "    expected  RED",
        "    answered  RED RED",
    ]
    assert json.loads(metrics)["train"]["unexplained"] == [
        {"input": "blue", "output": "RED", "answer": "BLUE"},
        {"input": "red and red", "output": "RED", "answer": "RED RED"},
    ]


def test_words_without_program_are_named(files, capsys):
    write(
        Path("train.tsv"), [*TRAIN, *((f"{each} maybe perhaps", "YES") for each in COLOURS[:2]), ("maybe maybe", "NO")]
    )
    assert main(["train", "pairs", *files, "--rounds", "0"]) == 0
    assert "no program     for and, black, blue, green, maybe, perhaps, red, twice\n  red\n" in capsys.readouterr().out


def test_a_review_has_the_shortest_and_tells_no_answer_from_a_wrong_one(trained):
    model = nsr.load(trained / "run")
    wrong = [(" and ".join(["red"] * count), "BLUE") for count in (7, 6, 5, 4, 3, 2)]
    found = review(model, examples(("red", "RED"), *wrong, ("twice", "RED")))
    assert found["accuracy"] == 12.5
    assert found["unexplained"][0] == {"input": "twice", "output": "RED", "answer": None}
    assert [len(each["input"].split()) for each in found["unexplained"]] == [1, 3, 5, 7, 9]


def test_what_depends_on_what_was_said_before_is_all_that_is_not_learned(files, capsys):
    """Of "it" no program can say what it is; of "then" one can, though it occurs only in longer inputs."""
    states, things = ("on", "off"), ("lamp", "fan", "radio")
    commands = {f"turn {state} {thing}": f"{state} {thing}".upper() for state in states for thing in things}
    train = [*commands.items()]
    train += [(f"{one} then {other}", f"{commands[one]} {commands[other]}") for one in commands for other in commands]
    train += [(f"{one} then turn off it", f"{commands[one]} OFF {one.split()[-1].upper()}") for one in commands]
    write(Path("train.tsv"), train)
    chain = " then ".join(list(commands)[:4])
    write(
        Path("test.tsv"),
        [(chain, " ".join(list(commands.values())[:4])), ("turn on fan then turn on it", "ON FAN ON FAN")],
    )
    assert main(["train", "pairs", *files, "--within"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("test accuracy  50.00% of 2 (50.00% answered)\n")
    assert (
        "explained      87.50% of 48 training pairs\nno program     for it\n  turn on lamp then turn off it\n"
        in printed
    )


# Own primitives


def swap(items: tuple[str, ...]) -> list[str]:
    first, *between, last = items
    return [last, *between, first]


def test_own_primitives_are_learned_with(own_primitives, tmp_path):
    register_primitives("swapping", swap)
    strings = ["a b c", "b d", "c a b d", "d c a"]
    swapped = [" ".join(swap(tuple(each.split()))) for each in strings]
    model = nsr.NSR("swapping", literals=True).fit(strings + [f"flip {each}" for each in strings], strings + swapped)
    assert '"flip" x0 = (swap x0)' in model.lexicon.to_text()
    assert model.predict(["flip flip e a b", "flip e f", "flip e"]) == [("e", "a", "b"), ("f", "e"), None]
    model.save(tmp_path / "run")
    assert nsr.load(tmp_path / "run").predict(["flip e f"]) == [("f", "e")]
    done = subprocess.run(
        [sys.executable, "-m", "nsr", "predict", tmp_path / "run", "flip e f"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown primitives 'swapping'; known sets: int, list" in done.stderr
    assert done.stderr.endswith("(own ones must be registered in Python first, see nsr.register_primitives)\n")


def test_an_own_primitive_may_have_three_arguments(own_primitives):
    def between(left: list[str], items: list[str], right: list[str]) -> list[str]:
        return [*left, *items, *right]

    made = register_primitives("between", between)
    run = compile_term(parse_program("(between x0 (cdr x1) x0)", made, 2), 5)
    assert run((("A",), ("B", "C"))) == ("A", "C", "A")
    assert run((("A",), ())) is MISSING  # as (cdr x1) is
    assert run((("A",), ("B",) * 5)) is MISSING  # too long


def test_an_own_primitive_may_have_an_inverse(own_primitives):
    """Abduction passes a wanted value through it, but not through a function."""
    turn = Primitive("turn", (Type.LIST,), Type.LIST, lambda items: items[::-1], lambda result, _: [(result[::-1],)])
    made = register_primitives("both", turn, swap)
    for name, below in (("turn", [("B", "A")]), ("swap", [])):
        assert list(invert(parse_program(f"({name} x0)", made, 1), ("A", "B"), [MISSING], 0, 10)) == below
    with pytest.raises(ConfigError, match="'fold' cannot be"):
        register_primitives("folding", replace(turn, name="fold"))


def test_a_run_does_not_load_with_other_functions_of_the_same_set(own_primitives, tmp_path):
    def turn(items: tuple[str, ...]) -> tuple[str, ...]:
        return items[::-1]

    register_primitives("turning", turn)
    model = nsr.NSR("turning", literals=True).fit(
        ["a b", "c d", "b c", "t a b", "t c d"], ["a b", "c d", "b c", "b a", "d c"]
    )
    assert "(turn x0)" in model.lexicon.to_text()
    model.save(tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(nsr.semantics.primitives.PRIMITIVES, "turning")
        register_primitives("turning", swap)
        with pytest.raises(nsr.errors.ProgramError, match="unknown primitive 'turn'"):
            nsr.load(tmp_path / "run")


def test_a_function_is_undefined_where_it_fails(own_primitives):
    def first(items: tuple[str, ...]) -> str:
        return items[0]

    def count(items: list[str]) -> int:
        return len(items) > 0 if not items else len(items)

    def odd(items: tuple[str, ...], number: int) -> tuple[str, ...]:
        return [number, *items] if number else None

    made = nsr.register_primitives("failing", first, count, odd)
    assert made["first"].apply(()) is MISSING
    assert made["first"].apply(("a",)) == "a"
    assert made["count"].apply(()) is MISSING  # a truth value is no number
    assert made["count"].apply(("a",)) == 1
    assert made["odd"].apply(("a",), 1) is made["odd"].apply(("a",), 0) is MISSING


def test_numbers_of_own_primitives_are_bounded(own_primitives):
    def count(items: tuple[str, ...]) -> int:
        return len(items)

    def times(left: int, right: int) -> int:
        return left * right

    def some(items: tuple[str, ...], number: int) -> tuple[str, ...]:
        return items[:number]

    made = register_primitives("counting", count, times, some)
    run = compile_term(parse_program("(some x0 (times (count x0) 100000000000000000))", made, 1), 10)
    assert run((("A",) * 9,)) == ("A",) * 9
    assert run((("A",) * 10,)) is MISSING  # of 19 digits


def f(items: tuple[str, ...]) -> tuple[str, ...]:
    return items


def named(name, function=f):
    def copy(items: tuple[str, ...]) -> tuple[str, ...]:
        return function(items)

    copy.__name__ = name
    return copy


def untyped(items) -> tuple[str, ...]:
    return items


def mistyped(items: "Lisst") -> tuple[str, ...]:  # noqa: F821
    return items


def real(items: tuple[str, ...]) -> float:
    return 0.5


def listed(items: [str]) -> tuple[str, ...]:
    return items


def member(items: "re.nothing") -> tuple[str, ...]:
    return items


def unclosed(items: "list[") -> tuple[str, ...]:  # noqa: F722
    return items


@pytest.mark.parametrize(
    ("name", "functions", "base", "message"),
    [
        ("list", [f], "list", "there are primitives 'list' already"),
        ("new", [f], "int", "own primitives need a base over lists, not 'int'"),
        ("new", [f], "nosuch", "unknown primitives 'nosuch'"),
        ("new", [f, f], "list", "there is a primitive 'f' already"),
        ("new", [named("append")], "list", "there is a primitive 'append' already"),
        ("new", [named("reverse")], "list-reverse", "there is a primitive 'reverse' already"),
        *(
            ("new", [named(name)], "list", f"'{name}' cannot be")
            for name in ("x0", "F", "fold", "self", "apply", "<lambda>", "ü")
        ),
        ("new", [untyped], "list", "'items' of 'untyped' must be annotated as str, int, tuple"),
        ("new", [mistyped], "list", "an annotation of 'mistyped' cannot be read"),
        ("new", [real], "list", "'return' of 'real' must be annotated"),
        ("new", [listed], "list", "'items' of 'listed' must be annotated"),
        ("new", [member], "list", "an annotation of 'member' cannot be read"),
        ("new", [unclosed], "list", "an annotation of 'unclosed' cannot be read"),
        ("new", [max], "list", "an annotation of 'max' cannot be read"),
        ("new", [partial(f)], "list", "functools.partial(<function f at "),
    ],
)
def test_what_cannot_be_registered(name, functions, base, message, own_primitives):
    known = set(nsr.semantics.primitives.PRIMITIVES)
    with pytest.raises(ConfigError) as error:
        register_primitives(name, *functions, base=base)
    assert str(error.value).startswith(message)
    assert set(nsr.semantics.primitives.PRIMITIVES) == known


def test_an_own_reverse_may_be_called_so(own_primitives):
    assert "reverse" in register_primitives("mine", named("reverse"))
