"""``nsr table``: runs are trained once, used again, resumed and shared; a failure is a row; files agree."""

import csv
import fcntl
import hashlib
import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nsr.cli.main import main
from nsr.errors import DataError, RunError
from nsr.experiment import Run, examples_of
from nsr.reports import reproduction
from nsr.reports.performing import finished, perform
from nsr.reports.pool import Runs
from nsr.reports.records import records, to_csv
from nsr.reports.reproduction import reproduce
from nsr.reports.tables import AccuracyTable, Variant
from nsr.reports.trainings import Training, _has_files, _sha256, trainings_of
from nsr.runs import LOCK, MANIFEST, PROVENANCE, parse_json, to_json
from nsr.tasks import make_task

TINY = {"max_tokens": 2}
TWO = (Variant("two", "length", TINY), Variant("simple", "simple", TINY))


@pytest.fixture
def tiny(monkeypatch):
    """A table of tiny runs, as ``tiny``."""
    monkeypatch.setitem(reproduction.TABLES, "tiny", AccuracyTable("scan", "Tiny", TWO))


@pytest.fixture
def here(monkeypatch):
    """Runs are trained in this process, which is faster; counts them."""
    trained = []

    class Process:
        ended = True

        def __init__(self, training, runs):
            self.training, self.reason = training, None
            trained.append(training)
            try:
                perform(training, runs.path(training))
            except Exception as error:
                self.reason = str(error)

        def fault(self):
            return self.reason

    monkeypatch.setattr("nsr.reports.pool._Process", Process)
    return trained


def one(**changes) -> Training:
    return Training(**{"task": "scan", "split": "length", "seed": 0, "settings": TINY, **changes})


# What a run is


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"split": "simple"},
        {"settings": {"max_tokens": 3}},
        {"settings": {**TINY, "word_order": "raw"}},
        {"data_dir": "data"},
        {"base": one(seed=1)},
    ],
)
def test_runs_that_differ_have_different_folders(changes):
    assert one(**changes).name != one().name


def test_a_setting_that_is_the_default_makes_no_difference():
    assert one(settings={**TINY, "word_order": "projective", "oracle": "late"}).name == one().name


def test_a_run_is_plain_data():
    training = one(base=one(seed=1))
    again = Training.from_json(json.loads(json.dumps(training.to_json())))
    assert (again, again.name) == (training, training.name)
    assert [each.seed for each in training.lineage] == [1, 0]


# Used again, or not


def test_a_second_call_trains_nothing_and_says_the_same(tiny, here, tmp_path, capsys):
    command = ["table", "tiny", "--seeds", "2", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert len(here) == 4
    assert main([*command, "--jobs", "2"]) == 0
    assert len(here) == 4
    again = capsys.readouterr().out
    assert first.split("seeds 0-1")[0] == again.split("seeds 0-1")[0]  # the seconds of the runs, too
    assert (tmp_path / "out" / "tiny.md").read_text(encoding="utf-8") == again.removesuffix("\n")


def test_tables_share_runs(tiny, here, tmp_path):
    runs, done = Runs(tmp_path), []
    runs.done = done.append
    for _ in range(2):
        runs.complete([one(), one(split="simple")])
    assert [each.split for each in here] == ["length", "simple"]
    assert len(done) == 2
    fresh = Runs(tmp_path)
    fresh.complete([one(split="simple"), one(seed=1)])
    assert [each.seed for each in here] == [0, 0, 1]


def test_what_is_done_can_be_measured_while_others_train(tmp_path):
    runs, done = Runs(tmp_path), []
    runs.done = done.append
    first, second = one(), one(seed=1, settings={"search": "mh"})
    with runs.ahead([first, second]):
        runs.complete([first])
        assert done == [first]
        assert finished(runs.path(first), first)
    assert not finished(runs.path(second), second)  # what is left is given up
    assert not runs.failures
    runs.complete([first])
    assert done == [first]


def test_what_is_not_trained_ahead_is_trained_when_it_is_needed(here, tmp_path):
    runs = Runs(tmp_path)
    with runs.ahead([one()]):
        runs.complete([one(seed=1), one()])
    assert sorted(each.seed for each in here) == [0, 1]


def change(folder: Path, name: str, **values) -> None:
    path = folder / name
    path.write_bytes(to_json({**parse_json(path.read_bytes(), path), **values}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: change(folder, PROVENANCE, version="0.0.1"),
        lambda folder: change(folder, PROVENANCE, format=1),
        lambda folder: change(folder, PROVENANCE, training={**one().identity, "seed": 5}),
        lambda folder: change(folder, PROVENANCE, training=one(settings={"max_tokens": 3}).identity),
        lambda folder: (folder / PROVENANCE).unlink(),
        lambda folder: (folder / PROVENANCE).write_bytes(b"[]"),
        lambda folder: (folder / "parser.safetensors").write_bytes(b""),
        lambda folder: (folder / "lexicon.nsr").write_bytes((folder / "lexicon.nsr").read_bytes() + b"\n"),
        lambda folder: (folder / "metrics.json").write_bytes(b"{"),
        lambda folder: (folder / "metrics.json").unlink(),
    ],
    ids=["version", "format", "seed", "settings", "lost", "odd", "damaged", "edited lexicon", "metrics", "unfinished"],
)
def test_another_or_a_damaged_run_is_trained_anew(damage, here, tmp_path):
    runs, training = Runs(tmp_path), one()
    runs.complete([training])
    folder = runs.path(training)
    (folder / "stray").write_bytes(b"")
    damage(folder)
    assert not finished(folder, training)
    again = Runs(tmp_path)
    again.complete([training])
    assert not again.failures
    assert len(here) == 2
    assert finished(folder, training)
    assert not (folder / "stray").exists()
    assert len(again.sessions(training)) == 1


# Checkpoints


@pytest.fixture
def interrupt(monkeypatch):
    """Trains a run in its folder until its first checkpoint."""

    class Interrupted(Exception):
        pass

    def until_checkpoint(training, folder):
        with monkeypatch.context() as patch:
            save = Run.save

            def saved(*arguments):
                save(*arguments)
                raise Interrupted

            patch.setattr(Run, "save", saved)
            with pytest.raises(Interrupted):
                perform(training, folder, 0)

    return until_checkpoint


def fails(*arguments, **options):
    raise RunError("no space left on device")


def test_a_run_that_cannot_be_written_keeps_its_checkpoint(interrupt, monkeypatch, tmp_path):
    training, folder = one(), tmp_path / one().name
    interrupt(training, folder)
    with monkeypatch.context() as patch:
        patch.setattr("nsr.reports.performing.train", fails)
        with pytest.raises(RunError, match="no space left"):
            perform(training, folder)
    assert (folder / "checkpoint" / "state.json").is_file()
    perform(training, folder)
    assert finished(folder, training)
    assert len(Runs(tmp_path).sessions(training)) == 3


def test_a_damaged_checkpoint_is_removed(interrupt, tmp_path):
    training, folder = one(), tmp_path / one().name
    interrupt(training, folder)
    (folder / "checkpoint" / "lexicon.nsr").write_text("nonsense", encoding="utf-8")
    perform(training, folder)
    assert finished(folder, training)
    assert len(Runs(tmp_path).sessions(training)) == 1


def test_runs_that_were_moved_are_continued(interrupt, tmp_path):
    training = one(base=one(seed=1))
    perform(training.base, tmp_path / "here" / training.base.name)
    interrupt(training, tmp_path / "here" / training.name)
    (tmp_path / "here").rename(tmp_path / "there")
    perform(training, tmp_path / "there" / training.name)
    assert len(Runs(tmp_path / "there").sessions(training)) == 2


# Data files


def official(folder: Path) -> Path:
    """The files of the split ``length`` of SCAN, as generated, below a folder."""
    data = make_task("scan", word_order="raw").load("length")
    target = folder / "scan" / "length_split"
    target.mkdir(parents=True)
    for part, examples in (("train", data.train), ("test", data.test)):
        lines = [
            f"IN: {' '.join(words)} OUT: {' '.join(actions)}\n"
            for words, actions in zip(examples.inputs, examples.outputs, strict=True)
        ]
        (target / f"tasks_{part}_length.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def test_a_run_is_named_by_what_is_in_its_files(monkeypatch, tmp_path):
    official(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    names = {one(data_dir=str(path)).name for path in ("data", "./data/../data", tmp_path / "data", "data/scan")}
    assert len(names) == 1
    file = tmp_path / "data" / "scan" / "length_split" / "tasks_train_length.txt"
    file.write_bytes(file.read_bytes() + b"\n")
    _sha256.cache_clear()  # as of another process
    assert one(data_dir="data").name not in names


def test_a_run_is_named_by_what_is_in_its_images(monkeypatch, tmp_path):
    def name(path) -> str:
        return Training("hint", "hint", 0, {"input": "images", "symbols": str(path)}).name

    (tmp_path / "images.npz").write_bytes(b"1")
    (tmp_path / "others.npz").write_bytes(b"2")
    monkeypatch.chdir(tmp_path)
    assert name("images.npz") == name(tmp_path / "images.npz") != name("others.npz")
    assert name("strokes") != name("images.npz")


def test_results_name_files_by_what_they_are_not_by_where(tmp_path):
    (tmp_path / "hint").mkdir()
    images = tmp_path / "hint" / "handwriting.npz"
    images.write_bytes(b"1")
    training = Training("hint", "hint", 0, {"input": "images", "symbols": str(images)})
    digest = hashlib.sha256(b"1").hexdigest()
    assert training.files == {"hint/handwriting.npz": digest}
    rows = [{"label": "a", "settings": {"symbols": str(images), "seeds": (0, 1)}}]
    assert reproduction._renamed(rows, {str(images): "hint/handwriting.npz"}) == [
        {"label": "a", "settings": {"symbols": "hint/handwriting.npz", "seeds": [0, 1]}}
    ]
    assert one(data_dir=str(official(tmp_path / "data"))).files.keys() == {
        "length_split/tasks_train_length.txt",
        "length_split/tasks_test_length.txt",
    }


def test_names_of_runs_without_files_stay():
    assert one().identity["data_dir"] is None
    assert Training("hint", "hint", 0, {"input": "images"}).identity["options"]["symbols"] == "strokes"


def test_runs_on_moved_files_are_used_again_and_continued(interrupt, tmp_path):
    training = one(data_dir=str(official(tmp_path / "old")))
    runs = Runs(tmp_path / "runs")
    interrupt(training, runs.path(training))
    (tmp_path / "old").rename(tmp_path / "new")
    moved = one(data_dir=str(tmp_path / "new"))
    assert moved.name == training.name
    perform(moved, runs.path(moved))
    assert len(runs.sessions(moved)) == 2
    (tmp_path / "new").rename(tmp_path / "newer")
    newer = one(data_dir=str(tmp_path / "newer"))
    assert finished(runs.path(newer), newer)
    assert len(examples_of(runs.load(newer))) == 3920


def test_a_split_that_lacks_a_file_is_an_error(tmp_path):
    folder = official(tmp_path)
    (found,) = trainings_of("scan", "length", [0], TINY, folder)
    assert found.data_dir == str(folder)
    (folder / "scan" / "length_split" / "tasks_test_length.txt").unlink()
    _has_files.cache_clear()  # as of another process
    with pytest.raises(DataError, match=r"tasks_test_length\.txt does not exist"):
        trainings_of("scan", "length", [0], TINY, folder)
    (pcfg := tmp_path / "pcfg" / "productivity").mkdir(parents=True)
    (pcfg / "train.tgt").write_bytes(b"")
    with pytest.raises(DataError, match=r"train\.src does not exist, but train\.tgt does"):
        trainings_of("pcfg", "productivity", [0], {}, tmp_path)
    (other,) = trainings_of("pcfg", "pcfgset", [0], {}, tmp_path)
    assert other.data_dir is None


def test_no_two_processes_train_in_one_folder(tmp_path):
    training = one()
    folder = tmp_path / training.name
    folder.mkdir()
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process is training"):
            perform(training, folder)
    assert [path.name for path in folder.iterdir()] == [LOCK]
    perform(training, folder)
    assert finished(folder, training)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match="cannot be written"):
        perform(one(), tmp_path / "file" / "run")


# Processes

SLOW = {"max_tokens": 8}  # several rounds
SCRIPT = f"""
import sys
from nsr.cli.main import main
from nsr.reports import reproduction
from nsr.reports.tables import AccuracyTable, Variant
rows = Variant("two", "length", {TINY}), Variant("slow", "simple", {SLOW}), Variant("simple", "simple", {TINY})
reproduction.TABLES["tiny"] = AccuracyTable("scan", "Tiny", rows)
sys.exit(main(["table", "tiny", "--checkpoint-seconds", "0", *sys.argv[1:]]))
"""


def table(folder: Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "--seeds", "1", "--runs", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it took too long")


def locked(folder: Path) -> bool:
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.slow
def test_a_killed_command_is_continued_to_the_same_table(tmp_path):
    whole = table(tmp_path / "whole", "--jobs", "2")
    expected, errors = whole.communicate(timeout=300)
    assert (whole.returncode, errors) == (0, "")

    slow = one(split="simple", settings=SLOW)
    folder = tmp_path / "runs" / slow.name
    killed = table(tmp_path / "runs")
    wait_for(lambda: (folder / "checkpoint" / "state.json").exists())
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_for(lambda: not locked(folder))  # the worker has ended, too
    assert not finished(folder, slow)
    assert finished(tmp_path / "runs" / one().name, one())
    before = (tmp_path / "runs" / one().name / "metrics.json").stat().st_mtime_ns

    again = table(tmp_path / "runs")
    found, errors = again.communicate(timeout=300)
    assert (again.returncode, errors) == (0, "")
    assert without_seconds(found) == without_seconds(expected)
    assert (tmp_path / "runs" / one().name / "metrics.json").stat().st_mtime_ns == before
    assert len(Runs(tmp_path / "runs").sessions(slow)) == 2
    histories = [Runs(tmp_path / name).history(slow) for name in ("whole", "runs")]
    for record in (record for history in histories for record in history):
        record.pop("seconds")
    assert histories[0] == histories[1]


def without_seconds(text: str) -> str:
    return re.sub(r"\d+ s in all|[\d.]+ \|$", "", text, flags=re.M)


def test_what_a_process_says_last_is_the_reason(tmp_path):
    runs = Runs(tmp_path)
    missing = Training("hint", "hint", 0, {"input": "images", "symbols": str(tmp_path / "no.npz")})
    runs.complete([missing, one(base=missing)])
    assert re.search(r"no\.npz.*does not exist|no such", runs.failures[missing.name])
    assert runs.failures[one(base=missing).name].startswith("what it builds on failed: ")
    with pytest.raises(RunError, match=r"seed 0: .*no\.npz"):
        runs.load(missing)


# Failures


def test_a_run_that_fails_is_a_row_and_the_others_go_on(monkeypatch, here, tmp_path, capsys):
    rows = (Variant("nowhere", "nosplit"), Variant("none", "length", {"fraction": 0.0}), *TWO)
    monkeypatch.setitem(reproduction.TABLES, "tiny", AccuracyTable("scan", "Tiny", rows))
    command = ["table", "tiny", "--seeds", "2", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    output = capsys.readouterr()
    assert "| nowhere | failed: seed 0: scan has no split 'nosplit'" in output.out
    assert "| none | failed: option 'fraction' must be above 0 and at most 1, not 0.0 |" in output.out
    assert "| simple | generated | " in output.out
    assert output.err == "nsr table: rows that failed: 2; the tables say why\n"
    data = json.loads((tmp_path / "out" / "tiny.json").read_text(encoding="utf-8"))
    assert [row.get("failed", "")[:8] for row in data["rows"]] == ["seed 0: ", "option '", "", ""]
    assert len(data["runs"]) == 4
    flat = list(csv.DictReader(io.StringIO((tmp_path / "out" / "tiny.csv").read_text(encoding="utf-8"))))
    assert [row["label"] for row in flat] == ["nowhere", "none", "two", "two", "simple", "simple"]
    assert flat[1]["failed"] == data["rows"][1]["failed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a group or a table; groups: scan, "),
        (["nosuch"], "unknown table 'nosuch'; groups: scan, .*tables: scan-splits, "),
        (["scan", "--seeds", "0"], "--seeds: must be at least 1"),
        (["scan", "--jobs", "x"], "--jobs: must be a whole number"),
        (["scan", "--data-dir", "nosuch"], "nosuch is not a folder"),
        (["scan", "--out", __file__], "is not a folder; choose another one by --out"),
        (["scan", "--out", f"{__file__}/sub"], "cannot be written: .*; choose another one by --out"),
        (["scan", "--runs", __file__], "is not a folder; choose another one by --runs"),
        (["scan", "--runs", f"{__file__}/sub"], "cannot be written: .*; choose another one by --runs"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["table", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_list_has_the_groups_and_their_tables(capsys):
    assert main(["table", "--list"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["scan"] == "scan-splits scan-raw scan-size scan-swap"
    assert lines.keys() == reproduction.GROUPS.keys()


# Files


def test_files_agree_and_say_where_they_come_from(tiny, here, tmp_path):
    runs = Runs(tmp_path / "runs")
    text, failed = reproduce("tiny", range(2), runs, out=tmp_path / "new")
    assert not failed
    assert (tmp_path / "new" / "tiny.md").read_text(encoding="utf-8") == text
    data = json.loads((tmp_path / "new" / "tiny.json").read_text(encoding="utf-8"))
    assert data.keys() >= {"table", "commit", "machine", "seconds", "seeds", "rows", "runs"}
    assert data["rows"][0]["assumptions"]["word_order"] == data["assumptions"]["word_order"] == "projective"
    assert f"seeds 0-1; commit {data['commit']}; " in text
    flat = list(csv.DictReader(io.StringIO((tmp_path / "new" / "tiny.csv").read_text(encoding="utf-8"))))
    assert [(each["label"], each["seed"]) for each in flat] == [(v.label, str(seed)) for v in TWO for seed in (0, 1)]
    columns = {"accuracy": "accuracy", "seconds": "seconds", "used": "examples", "learned_from": "learned_from"}
    for number, row in enumerate(data["rows"]):
        for seed in range(2):
            record = flat[2 * number + seed]
            for column, field in columns.items():
                assert float(record[column]) == row[field][seed]
            metrics = json.loads((tmp_path / "runs" / record["run"] / "metrics.json").read_text(encoding="utf-8"))
            assert float(record["memory"]) == metrics["peak_memory_mb"]
            assert float(record["seconds deduce"]) == metrics["seconds"]["deduce"]
            for name, accuracy in metrics["test"]["subsets"].items():
                assert float(record[name]) == accuracy
            assert record["commit"] == data["runs"][record["run"]]["sessions"][0]["commit"]
    trained = sum(each["seconds"] for each in data["runs"].values())
    assert data["seconds"] >= round(trained, 1)
    with pytest.raises(RunError, match="cannot be written"):
        reproduce("tiny", range(2), runs, out=tmp_path / "new" / "tiny.md")


def test_runs_of_several_commits_are_counted(tiny, here, tmp_path):
    runs = Runs(tmp_path)
    reproduce("tiny", range(2), runs)
    for number, path in enumerate(sorted(tmp_path.glob(f"*/{PROVENANCE}"))):
        (session,) = parse_json(path.read_bytes(), path)["sessions"]
        machine = {**session["machine"], "cpu": "Old"}
        old = [{**session, "commit": "aaa", "machine": machine}, {**session, "commit": "bbb"}]
        change(path.parent, PROVENANCE, sessions=old[: 1 + number % 2])
        sums = parse_json((path.parent / MANIFEST).read_bytes(), path)["files"]
        change(path.parent, MANIFEST, files={**sums, PROVENANCE: hashlib.sha256(path.read_bytes()).hexdigest()})
    text = reproduce("tiny", range(2), Runs(tmp_path)).text
    assert len(here) == 4
    assert re.search(r"; commits aaa \(2 runs\), aaa and bbb \(2 runs\), \S+ \(measured\); Old, ", text)
    assert " and " in text.partition("Old, ")[2]


def test_rows_without_runs_have_records_too():
    table = reproduction.TABLES["pcfg-induction"]
    rows = table.measure([0], None, None)
    flat = records(rows, {}, None)
    assert [each["label"] for each in flat] == [row.label for row in rows]
    assert to_csv(flat).decode().splitlines()[0] == "label,seed,name,primitives,found,seconds,program"


def test_plots_are_drawn(monkeypatch, here, tmp_path):
    monkeypatch.setitem(reproduction.TABLES, "scan-raw", AccuracyTable("scan", "Tiny", TWO))
    monkeypatch.setitem(reproduction.TABLES, "scan-size", AccuracyTable("scan", "Tiny", TWO))
    runs = Runs(tmp_path / "runs")
    for name in ("scan-raw", "scan-size"):
        reproduce(name, range(1), runs, out=tmp_path / "out")
    pictures = sorted(tmp_path.glob("out/*.png"))
    assert [path.stem for path in pictures] == [
        "scan-raw-phases",
        "scan-raw-sizes",
        "scan-raw-time",
        "scan-size-training",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    reproduce("scan-raw", range(1), runs, out=tmp_path / "none", plots=False)
    assert not list(tmp_path.glob("none/*.png"))
