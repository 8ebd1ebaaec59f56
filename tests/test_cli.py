"""The command line from end to end: what it prints, and that every error is one line that leaves nothing behind."""

import hashlib
import html
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nsr.experiment
from nsr.cli.main import COMMANDS, main
from nsr.errors import DataError
from nsr.runs import MANIFEST, to_json
from nsr.tasks.pairs import read_pairs

TRAIN = ("train", "scan", "--split", "length", "--max-tokens", "4")  # learns in well under a second
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A finished run; do not change it."""
    folder = tmp_path_factory.mktemp("cli") / "scan"
    assert main([*TRAIN, "--out", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def refused(capsys):
    """Run a command that must fail with status 2 and one line on stderr; returns the line."""

    def call(*argv: object) -> str:
        assert main([str(each) for each in argv]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert printed.err.startswith("nsr")
        return printed.err.rstrip("\n")

    return call


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def process(*argv: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-m", "nsr", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


# Help


def test_help_names_the_commands(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_a_purpose_and_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert COMMANDS[command].PURPOSE in printed
    assert f"example:\n  nsr {command} " in printed


def test_help_of_train_lists_task_options_and_settings_with_defaults(capsys):
    main(["train", "--help"])
    printed = capsys.readouterr().out
    for line in (
        "--word-order NAME scan: where opposite and around stand: projective, or raw, as published",
        "--parser-steps N at most so many steps a fit (default 300)",
    ):
        assert line in " ".join(printed.split())


def test_help_of_train_has_the_defaults_of_tasks_that_differ(capsys):
    main(["train", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for default in (
        "(default false; pcfg: true)",
        '(default none; pcfg: ","; hint: "( )"; hint --input images: none)',
        "(default 10; pcfg: 50; hint: 50)",
        "(default 0; hint: 40000; hint --input images: 100000; hint --input images --quick: 60000)",
        "(default 3; hint: 2)",
    ):
        assert default in printed


def test_help_of_train_says_which_texts_are_files_or_lists(capsys):
    main(["train", "--help"])
    printed = capsys.readouterr().out
    for option in ("--train FILE", "--syntax FILE", "--symbols FILE", "--separators TOKENS", "--abduce MODULES"):
        assert f"  {option} " in printed
    assert "--embed NAME " in printed


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nsr {nsr.__version__}\n"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_do_not_import_torch(option):
    code = f"import sys; from nsr.cli.main import main; main(['{option}']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("\nFalse\n")


# Train


def test_train_writes_a_run_and_prints_its_metrics(tmp_path, capsys):
    folder = tmp_path / "new" / "scan"
    assert main([*TRAIN, "--out", str(folder), "--seed", "3", "--json"]) == 0
    printed = capsys.readouterr()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert json.loads(printed.out.splitlines()[-1]) == metrics
    assert (metrics["seed"], metrics["split"], metrics["test"]["accuracy"]) == (3, "length", 100.0)
    assert "test accuracy  100.00% of 3920" in printed.out
    assert str(folder) in printed.out
    assert printed.err == ""  # no bar: stderr is no terminal
    assert not [path for path in folder.iterdir() if path.name.startswith((".", "checkpoint"))]


def test_train_without_a_folder_keeps_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN]) == 0
    assert "none" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_train_passes_settings_of_task_and_learner_on(tmp_path):
    folder = tmp_path / "run"
    options = ("--word-order", "raw", "--rounds", "1", "--parser-steps", "7", "--grammar-mask", "false")
    assert main(["train", "scan", "--max-tokens", "2", "--prune", "0.5", *options, "--out", str(folder)]) == 0
    config = json.loads((folder / "config.json").read_text())
    assert config["task"] == {"name": "scan", "options": {"word_order": "raw"}}
    assert config["settings"]["parser"]["parser_steps"] == 7
    assert config["settings"]["parser"]["grammar_mask"] is False
    assert config["settings"]["learning"]["prune"] == 0.5


def test_resuming_a_finished_run_changes_nothing(run, capsys):
    before = content(run)
    assert main([*TRAIN, "--out", str(run), "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(before["metrics.json"])
    assert content(run) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("scan", "--split", "nosuch"), "nsr: scan has no split 'nosuch'; known splits: simple, length"),
        (("scam",), "nsr: unknown task 'scam'; did you mean scan"),
        (("scan", "--nosuch", "3"), "nsr train: unknown option --nosuch; known options: --help, --split"),
        (("scan", "--max-token=3"), "nsr train: unknown option --max-token; did you mean --max-tokens?"),
        (("scan", "--max-tokens", "four"), "nsr train: argument --max-tokens: must be a whole number"),
        (("scan", "--prune", "nan"), "nsr train: argument --prune: must be a number"),
        (("scan", "--grammar-mask", "1"), "nsr train: argument --grammar-mask: must be true or false"),
        (("scan", "--seed", "-1"), "nsr train: argument --seed: must be a whole number, 0 or more, not '-1'"),
        (("scan", "--seed"), "nsr train: argument --seed: expected one argument"),
        (("scan", "--fraction", "2"), "nsr: option 'fraction' must be above 0 and at most 1"),
        (("scan", "--oracle", "never"), "nsr: option 'oracle' must be late or early"),
        (("scan", "--word-order", "odd"), "nsr: word_order must be one of projective, raw"),
        (("scan", "--data-dir", "/nosuch"), "nsr: /nosuch/scan/"),
        (("scan", "pcfg"), "nsr train: unexpected argument 'pcfg'"),
        ((), "nsr train: the following arguments are required: TASK"),
    ],
)
def test_train_refuses(argv, message, tmp_path, refused):
    folder = tmp_path / "run"
    assert refused("train", *argv, "--out", folder).startswith(message)
    assert not folder.exists()


def test_train_refuses_a_folder_with_something_in_it(tmp_path, refused):
    (tmp_path / "mine.txt").write_text("keep")
    assert "is not empty" in refused(*TRAIN, "--out", tmp_path)
    assert content(tmp_path) == {"mine.txt": b"keep"}


def test_train_refuses_a_file_as_folder(tmp_path, refused):
    (tmp_path / "mine.txt").write_text("keep")
    assert "is not a folder" in refused(*TRAIN, "--out", tmp_path / "mine.txt")
    assert content(tmp_path) == {"mine.txt": b"keep"}


def test_resume_needs_a_folder(refused):
    assert "--resume needs --out RUN" in refused(*TRAIN, "--resume")


@pytest.mark.parametrize(("option", "value"), [("--split", "simple"), ("--seed", "1"), ("--rounds", "3")])
def test_train_does_not_resume_a_run_as_another(option, value, run, refused):
    before = content(run)
    assert "was begun with" in refused(*TRAIN, "--out", run, "--resume", option, value)
    assert content(run) == before


@pytest.mark.parametrize("out", [(), ("--out", "run")])
def test_an_interrupt_is_one_line(out, monkeypatch, capsys):
    def interrupt(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(nsr.experiment, "train", interrupt)
    assert main([*TRAIN, *out]) == 130
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert ("--resume continues" in printed.err) == bool(out)


# Evaluate


def test_evaluate_by_default_tests_the_split_of_the_run(trained, capsys):
    assert main(["evaluate", str(trained), "--json"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    test = json.loads((trained / "metrics.json").read_text())["test"]
    assert json.loads(last) == test
    assert [line.split() for line in table[:5]] == [
        ["accuracy", "100.00%"],
        ["answered", "100.00%"],
        ["accuracy", "of", "answered", "100.00%"],
        ["examples", "3920"],
        ["actions=24", "100.00%"],
    ]
    assert len(table) == 4 + len(test["subsets"])


def test_evaluate_another_split(trained, capsys):
    assert main(["evaluate", str(trained), "--split", "addprim_turn_left"]) == 0
    assert "1208" in capsys.readouterr().out


def test_evaluate_own_examples(trained, tmp_path, capsys):
    path = tmp_path / "own.tsv"
    path.write_text("jump twice\tI_JUMP I_JUMP\nwalk\tI_RUN\nlook\t\n")
    assert main(["evaluate", str(trained), "--test", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["accuracy"], found["answered"], found["count"]) == (33.3333, 100.0, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jump\tI_JUMP\nwalk I_WALK\n", ":2: expected an input, a tab and an output, found 0 tabs"),
        ("jump\tI_JUMP\t1\n", ":1: expected an input, a tab and an output, found 2 tabs"),
        ("jump\tI_JUMP\n\nwalk\tI_WALK\n", ":2: blank line"),
        ("jump\tI_JUMP\n\n", ":2: blank line"),
        (" \tI_JUMP\n", ":1: empty input"),
        ("jump\tI_JUMP\nhop\tI_HOP\n", ":2: unknown word 'hop' at position 1; known words: "),
        ("jump\tI_JUMP\ntwice jump\tI_JUMP\n", ":2: "),
        ("", " is empty"),
        (None, " does not exist"),
    ],
)
def test_evaluate_says_which_line_is_wrong(text, message, trained, tmp_path, refused):
    path = tmp_path / "own.tsv"
    if text is not None:
        path.write_text(text)
    assert refused("evaluate", trained, "--test", path).startswith(f"nsr: {path}{message}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--split", "nosuch"), "scan has no split 'nosuch'"),
        (("--split", "simple", "--test", "own.tsv"), "argument --test: not allowed with argument --split"),
        (("--data-dir", "data", "--test", "own.tsv"), "--data-dir is of no use with --test"),
        (("--part", "validation", "--test", "own.tsv"), "--part is of a split, not of --test"),
        (("--data-dir", "data", "--symbols", "strokes"), "--data-dir is of no use with --symbols"),
        (("--part", "validation", "--symbols", "strokes"), "--part is of a split, not of --symbols"),
        (("--test", ""), "cannot be read"),
        (("--part", "validation"), "scan has no validation examples"),
        (("--part", "train"), "unknown part 'train'; known parts: test, validation"),
    ],
)
def test_evaluate_refuses(argv, message, trained, refused):
    assert message in refused("evaluate", trained, *argv)


def test_pairs_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_bytes("\ufeffα β\tγ\r\nx\t\n".encode())
    assert read_pairs(path) == [("α β", "γ"), ("x", "")]
    path.write_bytes(b"x\t\xff\n")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_pairs(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_pairs(tmp_path)


def test_a_setting_of_a_newer_version_is_one_line_that_names_it(run, refused):
    config, manifest = (json.loads((run / name).read_bytes()) for name in ("config.json", MANIFEST))
    config["settings"]["learning"]["novel"] = 1
    manifest["files"]["config.json"] = hashlib.sha256(to_json(config)).hexdigest()
    (run / "config.json").write_bytes(to_json(config))
    (run / MANIFEST).write_bytes(to_json(manifest | {"version": "9.9"}))
    assert refused("predict", run, "jump") == (
        f"nsr: {run} was written by nsr 9.9 and has the setting 'novel', which nsr {nsr.__version__} does not know; "
        "read it with nsr 9.9 or newer"
    )


# Predict


def test_predict_prints_a_line_a_sentence(trained, capsys):
    assert main(["predict", str(trained), "jump twice", "walk left"]) == 0
    assert capsys.readouterr().out == "I_JUMP I_JUMP\nI_TURN_LEFT I_WALK\n"


def test_predict_reads_stdin(trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("jump twice\nwalk"))
    assert main(["predict", str(trained), "-", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [["I_JUMP", "I_JUMP"], ["I_WALK"]]


def test_predict_from_nothing_prints_nothing(trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["predict", str(trained), "-"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (("hop twice",), "nsr: unknown word 'hop' at position 1; known words: "),
        (("",), "nsr: empty sentence"),
        (("jump", "  "), "nsr: sentence 2: empty sentence"),
        (("jump", "jump hop"), "nsr: sentence 2: unknown word 'hop' at position 2"),
        (("twice jump",), "nsr: "),
        (("jump", "--dance"), "nsr predict: unknown option --dance; known options: --help, --json"),
        ((), "nsr predict: the following arguments are required: SENTENCE"),
    ],
)
def test_predict_refuses(sentences, message, trained, refused):
    assert refused("predict", trained, *sentences).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jump\nwalk\nhop\n", "nsr: line 3: unknown word 'hop' at position 1"),
        ("jump\n\nwalk\n", "nsr: line 2: empty sentence"),
        ("\n", "nsr: line 1: empty sentence"),
    ],
)
def test_predict_names_the_line_of_stdin_before_it_prints_anything(text, message, trained, monkeypatch, refused):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert refused("predict", trained, "-").startswith(message)


def test_predict_prints_the_most_probable_answers(trained, capsys):
    assert main(["predict", str(trained), "jump twice", "walk", "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    blank = lines.index("")
    for block, answer in ((lines[:blank], "I_JUMP I_JUMP"), (lines[blank + 1 :], "I_WALK")):
        log_probs = [float(line.split()[0]) for line in block]
        assert log_probs == sorted(log_probs, reverse=True)
        assert block[0].split(maxsplit=1)[1] == answer
        assert len(block) <= 3


def test_predict_prints_log_probabilities(trained, capsys):
    assert main(["predict", str(trained), "walk", "jump", "--log-prob", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[answer["value"] for answer in of_input] for of_input in found] == [[["I_WALK"]], [["I_JUMP"]]]
    assert all(answer["log_prob"] <= 0 for of_input in found for answer in of_input)


def test_log_prob_and_top_exclude_each_other(trained, refused):
    message = refused("predict", trained, "walk", "--log-prob", "--top", "3")
    assert message.startswith("nsr predict: argument --top: not allowed with argument --log-prob")


def test_no_answer_has_no_log_probability(ignorant, capsys):
    assert main(["predict", str(ignorant), "jump thrice", "jump", "--top", "2"]) == 0
    first, blank, *others = capsys.readouterr().out.splitlines()
    assert (first.split(), blank) == (["-", "None"], "")
    assert others[0].endswith("  I_JUMP")
    assert main(["predict", str(ignorant), "jump thrice", "--top", "2", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize("count", ["0", "-1", "many", "9000000000000000000"])
def test_predict_refuses_to_print_no_answers_or_too_many(count, trained, refused):
    assert "must be" in refused("predict", trained, "jump", "--top", count)


# Explain


def test_explain_shows_sentence_answer_and_tree(trained, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["explain", str(trained), "jump around left"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    sentence, answer, log_prob, blank, *tree = printed.out.splitlines()
    assert sentence.split() == ["sentence", "jump", "around", "left"]
    assert answer.split() == ["answer", *["I_TURN_LEFT", "I_JUMP"] * 4]
    assert float(log_prob.split()[1]) <= 0
    assert blank == ""
    assert [line.strip("└─ ").split()[0] for line in tree] == ["around", "left", "jump"]
    assert max(map(len, tree)) <= 60


def test_explain_as_json(trained, capsys):
    assert main(["explain", str(trained), "jump twice", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"] == ["jump", "twice"]
    assert found["values"][found["heads"].index(-1)] == ["I_JUMP", "I_JUMP"]


@pytest.fixture
def ignorant(run) -> Path:
    """A run whose lexicon has lost "thrice"."""
    lexicon = run / "lexicon.nsr"
    lines = [line for line in lexicon.read_text().splitlines(keepends=True) if '"thrice"' not in line]
    lexicon.write_text("".join(lines))
    return run


def test_evaluate_tells_wrong_answers_from_none(ignorant, tmp_path, capsys):
    path = tmp_path / "own.tsv"
    path.write_text("jump\tI_JUMP\nwalk\tI_RUN\njump thrice\tI_JUMP\nwalk thrice\tI_WALK\n")
    assert main(["evaluate", str(ignorant), "--test", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["accuracy"], found["answered"], found["accuracy_of_answered"]) == (25.0, 50.0, 50.0)
    path.write_text("jump thrice\tI_JUMP\n")
    assert main(["evaluate", str(ignorant), "--test", str(path), "--json"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert table[2].split() == ["accuracy", "of", "answered", "none"]
    assert json.loads(last)["accuracy_of_answered"] is None


def test_without_derivation_there_is_no_answer(ignorant, capsys):
    assert main(["predict", str(ignorant), "jump thrice", "jump"]) == 0
    assert capsys.readouterr().out == "None\nI_JUMP\n"
    assert main(["predict", str(ignorant), "jump thrice", "--json"]) == 0
    assert capsys.readouterr().out == "null\n"


@pytest.mark.parametrize("form", ["svg", "html"])
def test_explain_as_a_picture(form, trained, tmp_path, capsys):
    sentence = "jump around left"
    assert main(["explain", str(trained), sentence, "--format", form]) == 0
    printed = capsys.readouterr().out
    assert "[I_TURN_LEFT] ++ x0" in printed
    path = tmp_path / f"tree.{form}"
    assert main(["explain", str(trained), sentence, "--out", str(path)]) == 0  # the name says the format
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text() == printed
    assert main(["explain", str(trained), sentence, "--format", form, "--notation", "sexpr"]) == 0
    assert '(cons "I_TURN_LEFT" x0)' in html.unescape(capsys.readouterr().out)


def test_explain_in_the_notation_for_people(trained, capsys):
    assert main(["explain", str(trained), "jump twice", "--notation", "readable"]) == 0
    assert "twice      x0 ++ x0   I_JUMP I_JUMP" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "json", "svg", "html"])
def test_explain_says_that_there_is_no_derivation(form, ignorant, capsys):
    assert main(["explain", str(ignorant), "jump thrice", "--format", form]) == 0
    printed = capsys.readouterr()
    note, line = printed.err.splitlines()
    assert "lexicon.nsr is not as it was trained" in note
    assert line.startswith("no derivation")
    if form == "text":
        assert "answer           None\n" in printed.out
    elif form == "html":
        assert "there is no derivation" in printed.out
    elif form == "json":
        assert json.loads(printed.out)["inputs"] == ["jump", "thrice"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("jump hop",), "nsr: unknown word 'hop' at position 2"),
        (("",), "nsr: empty sentence"),
        (("jump", "twice"), "nsr explain: unexpected argument 'twice'"),
        (("jump", "--format", "png"), "nsr explain: argument --format: invalid choice: 'png'"),
        (("jump", "--notation", "odd"), "nsr explain: argument --notation: invalid choice: 'odd'"),
        (("jump", "--out", "/nosuch/tree.svg"), "nsr: /nosuch/tree.svg cannot be written: "),
        (
            ("jump", "--out", "tree.pdf"),
            "nsr: tree.pdf could be of any format; choose one by --format, or end the name in",
        ),
        (("jump", "--out", "."), "nsr: . cannot be written: . is a folder; choose another name"),
        (("jump", "--out", "/"), "nsr: / cannot be written: / is a folder; choose another name"),
    ],
)
def test_explain_refuses(argv, message, trained, refused):
    assert refused("explain", trained, *argv).startswith(message)


# Run folders that are not as they should be


def missing(run: Path) -> None:
    shutil.rmtree(run)


def unfinished(run: Path) -> None:
    (run / "manifest.json").unlink()
    (run / "metrics.json").unlink()


def truncated(run: Path) -> None:
    path = run / "parser.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flipped(run: Path) -> None:
    path = run / "parser.safetensors"
    weights = bytearray(path.read_bytes())
    weights[len(weights) // 2] ^= 1
    path.write_bytes(weights)


def without_grammar(run: Path) -> None:
    (run / "grammar.json").unlink()


def of_another_version(run: Path) -> None:
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


def with_broken_metrics(run: Path) -> None:
    (run / "metrics.json").write_text("{")


DAMAGES = {
    missing: "does not exist",
    unfinished: "holds no finished model",
    truncated: "parser.safetensors is damaged",
    flipped: "parser.safetensors is damaged",
    without_grammar: "grammar.json cannot be read",
    of_another_version: "has format 99",
    with_broken_metrics: "metrics.json is damaged",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("command", [("evaluate",), ("predict", "jump"), ("explain", "jump")], ids=lambda argv: argv[0])
def test_a_damaged_run_is_refused(command, damage, run, refused):
    damage(run)
    name, *rest = command
    assert DAMAGES[damage] in refused(name, run, *rest)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"jump" = (cons "I_JUMP" nil))', "lexicon.nsr: line 1, column "),
        ('"jump" = (cons nil nil)', "lexicon.nsr: line 1, column "),
        ('"hop" = (cons "I_JUMP" nil)', 'lexicon.nsr: line 1, column 1: unknown symbol "hop"'),
        ('x0 "twice" = (apend x0 x0)', "lexicon.nsr: line 1, column "),
    ],
)
def test_an_edited_lexicon_is_refused_with_line_and_column(line, message, run, refused):
    path = run / "lexicon.nsr"
    path.write_text(line + "\n" + path.read_text())
    assert message in refused("predict", run, "jump")


def test_a_lexicon_in_another_encoding_is_refused_with_line_and_column(run, refused):
    path = run / "lexicon.nsr"
    path.write_bytes(path.read_bytes() + '"jump" = nil  # é geändert'.encode("latin-1"))
    line = path.read_bytes().count(b"\n") + 1
    assert f"lexicon.nsr: line {line}, column 17: this is not UTF-8" in refused("predict", run, "jump")


def test_an_edited_lexicon_is_used(run, capsys):
    path = run / "lexicon.nsr"
    path.write_text(path.read_text().replace('"jump" = (cons "I_JUMP" nil)', '"jump" = (cons "I_HOP" nil)'))
    assert main(["predict", str(run), "jump twice"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "I_HOP I_HOP\n"
    assert printed.err == f"note: {path} is not as it was trained: it was edited, or is damaged\n"


# The command as a whole


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "nsr: choose a command: train, train-baseline, evaluate, predict, explain, export, table, data"),
        (("trian",), "nsr: unknown command 'trian'; did you mean train?"),
        (("--nosuch",), "nsr: unknown option --nosuch; known options: --help, --version"),
    ],
)
def test_the_command_refuses(argv, message, refused):
    assert refused(*argv).startswith(message)


@pytest.mark.parametrize(
    "command",
    [
        "train scan",
        "train-baseline scan --model gru",
        "explain run jump",
        "export run",
        "table scan",
        "data generate scan",
    ],
)
def test_the_name_of_an_output_is_not_empty(command, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "argument --out: must be a name" in refused(*command.split(), "--out", "")
    assert not list(tmp_path.iterdir())


def test_a_message_of_many_lines_is_shown_as_one(trained, refused):
    assert "unknown" in refused("predict", trained, "jump", "hop\nhop")


def test_no_permission_is_one_line(monkeypatch, refused):
    def load(folder, tell):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(nsr.experiment, "load_and_tell", load)
    assert refused("predict", "run", "jump") == "nsr: run: Permission denied"


def test_as_a_process(trained):
    done = process("predict", trained, "-", input="jump twice\nwalk\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "I_JUMP I_JUMP\nI_WALK\n", "")
    done = process("trian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nsr: unknown command 'trian'; did you mean train? (see nsr --help)\n"


def test_a_closed_pipe_is_quiet(trained, monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["predict", str(trained), "jump"]) == 141
    assert capsys.readouterr().err == ""


def test_an_encoding_that_lacks_a_character_is_one_line(trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main(["explain", str(trained), "jump twice"]) == 2
    assert capsys.readouterr().err == "nsr: the output does not fit the encoding ascii; set PYTHONIOENCODING=utf-8\n"


@pytest.mark.parametrize(
    ("script", "argv", "status", "message"),
    [
        ("train", ["--help"], 0, "usage: nsr train "),
        ("evaluate", ["nosuch"], 2, "nsr: nosuch is not a run folder"),
    ],
)
def test_scripts_are_commands(script, argv, status, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *argv])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), run_name="__main__")
    assert done.value.code == status
    assert "".join(capsys.readouterr()).startswith(message)
