"""A user's own grammar as the syntax: the trees it gives, runs with it, and what is refused."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_pairs import refused, write  # noqa: F401

import nsr
import nsr.experiment
from nsr.cli.main import main
from nsr.errors import ConfigError, DataError, InputError, RunError
from nsr.gss import ROOT
from nsr.syntax import own
from nsr.syntax.own import OwnSyntax

GRAMMAR = """
?start: after | start THEN after -> word
?after: phrase
      | after "after" phrase -> word
?phrase: COLOUR -> word
       | phrase "twice" -> word
       | _LEFT start _RIGHT
THEN: "then" /(?!\\S)/  // as an export writes words
COLOUR: "red" | "blue" | "green"
_LEFT: "("
_RIGHT: ")"
%ignore /\\s+/
"""
VALUES = {"red": "RED", "blue": "BLUE", "green": "GREEN"}


def heads(sentence: str, text: str = GRAMMAR) -> tuple[int, ...]:
    return OwnSyntax.of(text, "my.lark").heads(tuple(sentence.split()))


def phrases(depth: int) -> list[tuple[str, list[str]]]:
    """Sentences and what they mean: "after" binds more tightly than "then", and exchanges."""
    found = [(word, [value]) for word, value in VALUES.items()]
    found += [(f"{word} twice", value * 2) for word, value in found]
    after = [(f"{one} after {other}", second + first) for one, first in found for other, second in found]
    found += after
    return found + [
        (f"{one} then {other}", first + second) for one, first in found[::depth] for other, second in found[::5]
    ]


@pytest.fixture
def files(tmp_path, monkeypatch) -> tuple[str, ...]:
    """Options that name files in the working folder."""
    monkeypatch.chdir(tmp_path)
    pairs = [(one, " ".join(other)) for one, other in phrases(4)]
    write(Path("train.tsv"), pairs[:-20])
    write(Path("test.tsv"), pairs[-20:])
    Path("my.lark").write_text(GRAMMAR, encoding="utf-8")
    options = ("--train", "train.tsv", "--test", "test.tsv", "--syntax", "my.lark")
    return ("train", "pairs", *options, "--out", "run", "--quiet")


# Trees


def test_a_word_heads_the_phrases_around_it():
    assert heads("red") == (ROOT,)
    assert heads("red then blue twice") == (1, ROOT, 3, 1)
    assert heads("red after blue then green") == (1, 3, 1, ROOT, 3)


def test_words_that_mean_nothing_depend_on_the_head_of_what_they_surround():
    assert heads("( red then blue ) twice") == (2, 2, 5, 2, 2, ROOT)
    assert heads("( ( red ) )") == (2, 2, ROOT, 2, 2)


def test_a_long_sentence_is_no_deeper_than_a_list():
    length = 5001
    found = heads(" then ".join(["red"] * length))
    assert found.count(ROOT) == 1
    assert found[-2] == ROOT


def test_phrases_may_be_optional_repeated_and_shared():
    text = 'start: _list{number} ADD -> word\n_list{each}: each+\nnumber: /[0-9]/ -> word\nADD: "add"'
    assert heads("1 2 3 add", text) == (3, 3, 3, ROOT)
    assert heads("add", 'start: number* "add" number? -> word\nnumber: "1" -> word') == (ROOT,)
    with pytest.raises(InputError, match="'add' has more than 32 dependents"):
        heads(f"{'1 ' * 33}add", text)
    assert heads(f"{'1 ' * 32}add", text).count(32) == 32


def test_words_of_no_letters_are_words():
    assert heads("1 &&& 1", 'start: one "&&&" one -> word\none: "1" -> word') == (1, ROOT, 1)


# Runs


def test_only_programs_are_learned(files, capsys):
    assert main([*files]) == 0
    assert capsys.readouterr().out.startswith("test accuracy  100.00% of 20")
    assert Path("run/syntax.lark").read_text(encoding="utf-8") == GRAMMAR
    Path("my.lark").unlink()  # the run has what it needs
    model = nsr.load("run")
    assert model.predict(["blue then red after blue twice", "red red"]) == [("BLUE", "BLUE", "BLUE", "RED"), None]
    assert 'x0 "after" x1 = (append x1 x0)' in model.lexicon.to_text()
    assumptions = json.loads(Path("run/metrics.json").read_text())["assumptions"]
    assert assumptions["syntax"] == "my.lark"
    assert assumptions["syntax_sha256"] == own.hashlib.sha256(GRAMMAR.encode()).hexdigest()
    model.save("copy")
    assert Path("copy/syntax.lark").read_text(encoding="utf-8") == GRAMMAR


def test_what_is_exported_can_be_trained_with(files, capsys):
    assert main([*files]) == 0
    assert main(["export", "run", "--out", "exported", "--check"]) == 0
    again = [{"my.lark": "exported/grammar.lark", "run": "again"}.get(each, each) for each in files]
    assert main(again) == 0
    assert nsr.load("again").lexicon == nsr.load("run").lexicon


def test_words_that_mean_nothing_must_be_declared(files, refused):  # noqa: F811
    with Path("train.tsv").open("a", encoding="utf-8") as file:
        file.write("( red then blue ) twice\tRED BLUE RED BLUE\n( red )\tRED\n")
    assert refused(*files) == (
        "nsr: '(' means nothing by my.lark, as its terminal begins with _; add --separators '( )' --between false"
    )
    assert main([*files, "--separators", "( )", "--between", "false"]) == 0
    assert nsr.load("run").predict(["( red then ( blue after green ) ) twice"]) == [("RED", "GREEN", "BLUE") * 2]


def test_a_run_that_was_stopped_is_resumed_with_the_same_grammar(files, monkeypatch, refused):  # noqa: F811
    class Stop(Exception):
        pass

    def save_and_stop(self, *state):
        save(self, *state)
        raise Stop

    save = nsr.experiment.Run.save
    monkeypatch.setattr(nsr.experiment.Run, "save", save_and_stop)
    with pytest.raises(Stop):
        main([*files, "--checkpoint-seconds", "0"])
    monkeypatch.setattr(nsr.experiment.Run, "save", save)
    Path("my.lark").write_text(GRAMMAR + "// changed\n", encoding="utf-8")
    assert "was begun with syntax_sha256 = " in refused(*files, "--resume")
    Path("my.lark").write_text(GRAMMAR, encoding="utf-8")
    assert main([*files, "--resume"]) == 0
    assert nsr.load("run").metrics["test"]["accuracy"] == 100.0
    assert main([*files, "--resume"]) == 0


def test_a_damaged_grammar_of_a_run_is_noticed(files):
    assert main([*files]) == 0
    Path("run/syntax.lark").write_text(GRAMMAR.replace("twice", "thrice"), encoding="utf-8")
    with pytest.raises(RunError, match=r"run/syntax\.lark is damaged"):
        nsr.load("run")


def test_literals_are_read_by_patterns(tmp_path):
    path = tmp_path / "strings.lark"
    path.write_text(
        'start: "flip" string -> word\n | string\nstring: LETTER string? -> literal\nLETTER.-1: /\\S+/',
        encoding="utf-8",
    )
    model = nsr.NSR("list-reverse", literals=True, syntax=str(path))
    model.fit(["a b", "b c a", "flip a b", "flip b c a", "flip c d"], ["a b", "b c a", "b a", "a c b", "d c"])
    assert model.predict(["flip e f g", "flip flip"]) == [("g", "f", "e"), None]


def test_a_model_builds_only_on_one_with_the_same_kind_of_syntax(tmp_path):
    path = tmp_path / "my.lark"
    path.write_text(GRAMMAR, encoding="utf-8")
    base = nsr.NSR(syntax=str(path)).fit(["red", "blue", "red twice", "blue twice"], ["R", "B", "R R", "B B"])
    with pytest.raises(ConfigError, match="if the syntax is learned by both, or given to both"):
        nsr.NSR().build_on(base)
    more = nsr.NSR(syntax=str(path)).build_on(base).fit(["green", "green twice"], ["G", "G G"])
    assert more.predict(["green twice twice"]) == [("G",) * 4]


# What is refused


def test_the_first_input_that_the_grammar_does_not_parse_is_named(files, refused):  # noqa: F811
    with Path("train.tsv").open("a", encoding="utf-8") as file:
        file.write("red twice blue\tRED\nred red\tRED\n")
    assert refused(*files) == (
        "nsr: my.lark does not parse the training input 'red twice blue': 'blue' at position 3 cannot stand here; "
        "expected one of: THEN, after, twice, the end of the sentence"
    )
    Path("train.tsv").write_text("red hop\tRED\n" + Path("train.tsv").read_text())
    assert "'red hop': unknown word 'hop' at position 2; known words: THEN, COLOUR, " in refused(*files)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("giv", "option 'syntax' must be learned, given, or a file FILE.lark, not 'giv'"),
        ("none.lark", "none.lark does not exist"),
        ("folder.lark", "folder.lark cannot be read: "),
        ("latin.lark", "latin.lark is not UTF-8 text"),
        ("given", "pairs cannot give the syntax"),
    ],
)
def test_what_is_no_grammar(value, message, files, refused):  # noqa: F811
    Path("folder.lark").mkdir()
    Path("latin.lark").write_bytes(GRAMMAR.replace("red", "rötlich").encode("latin-1"))
    assert refused(*files, "--syntax", value).startswith(f"nsr: {message}")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "my.lark: there is no rule 'start'"),
        ('start: "a" -> word\n  b c\n', "my.lark: line 2, column 5: Unexpected token Token('RULE', 'c'). Expected"),
        ('start: "a" ( "b"\n', "my.lark: line 1, column 17: "),
        ("start: @", "my.lark: line 1, column 8: Unexpected input"),
        ('start: x "a" -> word', "my.lark: line 1, column 8: Rule 'x' used but not defined (in rule start)"),
        ("start: A -> word\nA: /(/", "my.lark: line 1, column 8: Cannot compile token A: '('"),
        ("start: A -> word\nA: B\nB: A", "my.lark: line 1, column 8: Recursion in terminal 'A'"),
        ('start: A -> word\nA: "\\xZ"', "my.lark: line 2, column 5: '\\xZ' has a wrong escape"),
        ('start: ""', "my.lark: Empty terminals are not allowed"),
        ("%import .other.X\nstart: X -> word", "my.lark: line 1, column 8: only common can be imported"),
        ("%import.other.X\nstart: X -> word", "my.lark: line 1, column 8: only common can be imported"),
        ("start: X -> word\n\x0c%import\n.other.X", "my.lark: line 2, column 9: only common can be imported"),
        ("%import common.NOTHING\nstart: NOTHING -> word", "my.lark: line 1, column 16: "),
        ('start: start start | "a" -> word', "my.lark: line 1, column 1: an alternative of 'start' has no word of its"),
        (
            'start: start "b" start -> word | "a" -> word',
            "my.lark leaves a choice, so trees would be a matter of chance: Shift/Reduce conflict for terminal B",
        ),
        (
            'start: a | b\na: "x" -> word\nb: "x" -> word',
            "my.lark leaves a choice, so trees would be a matter of chance: Reduce/Reduce collision",
        ),
        (
            'start: "a"',
            "my.lark: line 1, column 1: an alternative of 'start' has a word of its own, A, but no '-> word'",
        ),
        (
            'start: b\n?b: "a" "c" -> word',
            "my.lark: line 2, column 2: an alternative of 'b' has 2 words of its own, A and",
        ),
        (
            'start: "a"* "b" -> word',
            "my.lark: line 1, column 1: an alternative of 'start' has a word of its own, A; only",
        ),
        ('start: _X\n_X: "x"', "my.lark: line 1, column 1: an alternative of 'start' has no word of its own"),
        (
            'start: "a" b -> word\nb: "b"? -> word',
            "my.lark: line 2, column 1: an alternative of 'b' has no word of its",
        ),
    ],
)
def test_what_is_wrong_with_a_grammar_is_said_in_one_line(text, message):
    with pytest.raises(DataError) as error:
        OwnSyntax.of(text, "my.lark")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@given(st.text('start: AB"|()?*+-> word_{}~1\n/\\[]%#', max_size=40))
def test_any_text_is_a_grammar_or_refused(text):
    with contextlib.suppress(DataError):
        OwnSyntax.of(text, "my.lark")


@pytest.mark.parametrize(
    "text",
    [
        "start: " + " ".join(f'"a{index}"?' for index in range(40)) + " -> word",
        'start: a{"x"} -> word\na{y}: a{b{y}} | y\nb{y}: y "q"',
        "start: A0 -> word\n" + "\n".join(f"A{k}: A{k + 1} A{k + 1}" for k in range(40)) + '\nA40: "x"',
    ],
    ids=["optional parts", "templates without end", "terminals in terminals"],
)
def test_a_grammar_that_is_huge_when_spelled_out_is_refused_in_time(text, tmp_path, monkeypatch):
    monkeypatch.setattr(own, "SECONDS", 2)
    path = tmp_path / "huge.lark"
    path.write_text(text)
    with pytest.raises(
        DataError, match=r"huge\.lark takes more than 2 seconds or 2 GB to read|RecursionError|recursion"
    ):
        OwnSyntax.read(str(path), own.hashlib.sha256(text.encode()).hexdigest())


def test_a_busy_machine_is_not_the_fault_of_a_grammar(monkeypatch):
    """Only the time of the processor counts."""
    monkeypatch.setattr(own, "SECONDS", 2)
    monkeypatch.setattr(own, "_TRIAL", "import time\ntime.sleep(2.5)\n" + own._TRIAL)
    assert OwnSyntax.tried(GRAMMAR, "my.lark").heads(("red",)) == (ROOT,)


def test_a_grammar_of_thousands_of_words_is_read(tmp_path):
    text = "start: WORD -> word | start WORD -> word\nWORD: " + " | ".join(f'"w{index}"' for index in range(5000))
    path = tmp_path / "large.lark"
    path.write_text(text)
    read = OwnSyntax.read(str(path), own.hashlib.sha256(text.encode()).hexdigest())
    assert read.heads(("w0", "w4999")) == (1, ROOT)
    with pytest.raises(DataError, match="is not the file of this run"):
        OwnSyntax.read(str(path), "0")


def test_a_grammar_whose_words_head_nothing_is_refused():
    with pytest.raises(DataError, match="an alternative of 'start' has"):
        OwnSyntax.of((Path(own.__file__).parents[2] / "grammars" / "scan.lark").read_text(), "scan.lark")


def test_patterns_of_a_given_grammar_are_not_exchanged_for_one(tmp_path):
    """A convention is looked for only where trees are learned."""
    grammar = tmp_path / "my.lark"
    grammar.write_text(
        "start: _L term ADD term _R -> word | _L _L term ADD term _R _R -> word\n"
        'term: /[ab]/ -> word\n_L: "("\n_R: ")"\nADD: "add"\n'
    )
    sums = [(f"{x} add {y}", tuple(f"{x}{y}".upper())) for x in "ab" for y in "ab"]
    pairs = {text.format(words): value for words, value in sums for text in ("( {} )", "( ( {} ) )")}
    model = nsr.NSR("list", syntax=str(grammar), separators="( )", between=False)
    model.fit(list(pairs), list(pairs.values()))
    assert model.predict(list(pairs)) == list(pairs.values())
    text = model.lexicon.to_text()
    assert '\n_ x0 "add" x1 _ =' in text
    assert '_ _ x0 "add" x1 _ _ =' in text
