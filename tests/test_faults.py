"""Faults: kills, full disks, read-only folders, damaged files, two processes. scripts/faults.py tries many more."""

import fcntl
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import nsr
from nsr.cli.main import main
from nsr.errors import NSRError, RunError
from nsr.experiment import Run, load_and_tell
from nsr.reports.performing import finished, perform
from nsr.reports.trainings import Training
from nsr.runs import LOCK, MANIFEST, PROVENANCE, locked, read_folder, write_file, write_folder

TINY = {"max_tokens": 2}
SCAN = ["train", "scan", "--split", "length", "--max-tokens", "2", "--quiet"]
GRU = ["train-baseline", "scan", "--model", "gru", "--split", "length", "--examples", "20", "--epochs", "1", "--quiet"]
SENTENCES = ("jump", "walk twice", "look and run")
RUN_FILES = (
    "config.json",
    "grammar.json",
    "history.jsonl",
    "lexicon.nsr",
    MANIFEST,
    "metrics.json",
    "parser.safetensors",
    "vocabulary.json",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A finished run, not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    nsr.train("scan", "length", **TINY, out=folder)
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A finished run, to be damaged."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def cut(tmp_path, monkeypatch) -> Path:
    """A run that was stopped after its first checkpoint."""

    class Stop(Exception):
        pass

    save = Run.save

    def stop(*arguments):
        save(*arguments)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", stop)
        with pytest.raises(Stop):
            nsr.train("scan", "length", **TINY, out=tmp_path / "cut", checkpoint_seconds=0)
    return tmp_path / "cut"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def learned(folder: Path) -> dict[str, bytes]:
    """The files of a run that have no seconds in them, and the names of all."""
    found = files(folder)
    return {name: b"" if name in (MANIFEST, "metrics.json", "history.jsonl") else found[name] for name in found}


def damages(content: bytes, count: int = 8) -> list[bytes]:
    """A file with single bits flipped, and cut short."""
    draw = random.Random(len(content))
    found = [content[:length] for length in (0, len(content) // 2, len(content) - 1)]
    for place in draw.sample(range(len(content)), count):
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        found.append(bytes(flipped))
    return found


@pytest.fixture
def moments(tmp_path, monkeypatch):
    """Copies a folder before each operation on files, as a kill at this moment would leave it."""

    def watch(folder: Path) -> list[Path]:
        kept: list[Path] = []

        def watched(operation):
            def run(*arguments, **options):
                kept.append(tmp_path / f"moment{len(kept)}")
                shutil.copytree(folder, kept[-1]) if folder.exists() else kept[-1].mkdir()
                return operation(*arguments, **options)

            return run

        for name in ("rename", "replace", "unlink", "rmdir", "fsync"):
            monkeypatch.setattr(os, name, watched(getattr(os, name)))
        return kept

    yield watch
    monkeypatch.undo()


# Kills


def test_a_model_that_is_replaced_is_the_old_one_or_the_new_one_at_any_moment(tmp_path, moments, monkeypatch):
    old = {"config.json": b"old", "lexicon.nsr": b"old", "weights": b"same"}
    new = {"config.json": b"new", "lexicon.nsr": b"new", "weights": b"same"}
    write_folder(tmp_path / "run", old)
    kept = moments(tmp_path / "run")
    write_folder(tmp_path / "run", new)
    monkeypatch.undo()
    found = [read_folder(each) for each in kept]
    assert found[0] == old
    assert read_folder(tmp_path / "run") == new
    assert sorted(found, key=found.index) == [*[old] * found.count(old), *[new] * found.count(new)]
    assert found.count(new) >= 3  # the manifest is renamed, other files are not


def test_what_a_kill_leaves_hides_no_edit(tmp_path):
    write_folder(tmp_path, {"lexicon.nsr": b"trained"})
    (tmp_path / ".lexicon.nsr.new").write_bytes(b"trained")  # of a second writing of the same
    (tmp_path / "lexicon.nsr").write_bytes(b"edited")
    os.utime(tmp_path / ".lexicon.nsr.new", ns=(0, 0))  # before the edit
    assert read_folder(tmp_path) == {"lexicon.nsr": b"edited"}


def test_a_run_that_was_killed_at_its_end_without_checkpoint_is_trained_again(trained, tmp_path, moments, monkeypatch):
    kept = moments(tmp_path / "run")
    nsr.train("scan", "length", **TINY, out=tmp_path / "run")
    monkeypatch.undo()
    assert len(kept) >= 2 * len(RUN_FILES)
    for moment in kept[:: len(RUN_FILES) // 2]:
        nsr.train("scan", "length", **TINY, out=moment, resume=True)
        assert learned(moment) == learned(trained)


def run_script(name, *arguments):
    """Run a script in its short form; how it ended."""
    script = Path(__file__).parents[1] / "scripts" / f"{name}.py"
    return subprocess.run([sys.executable, script, "--quick", *arguments], capture_output=True, text=True, timeout=600)


def results_of_script(name, folder):
    """What a script writes to a folder in its short form; it prints the table that is there."""
    ended = run_script(name, "--out", folder)
    assert ended.returncode == 0, ended.stderr
    assert (folder / f"{name}.md").read_text(encoding="utf-8") == ended.stdout
    return json.loads((folder / f"{name}.json").read_bytes())


@pytest.mark.slow
def test_the_script_loses_nothing(tmp_path):
    found = results_of_script("faults", tmp_path)["faults"]
    assert all(each["tried"] > 0 for each in found)
    assert sum(each["lost"] for each in found) == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_also_if_killed(tmp_path):
    rows = results_of_script("determinism", tmp_path)["rows"]
    assert [row["compared"] for row in rows] == [{"SCAN, length": "same"}] * 3
    failed = run_script("determinism", "/no/python")
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1].startswith("error: ")


# Disks


@pytest.fixture
def small_disk():
    """No file can be larger than 20 kB; the parser's weights are."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk, tmp_path, capsys):
    for more in ([], ["--checkpoint-seconds", "0"]):
        assert main([*SCAN, "--out", str(tmp_path / "run"), *more]) == 2
        assert capsys.readouterr().err.count("cannot be written: File too large\n") == 1
        assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_a_checkpoint_as_it_was(cut, small_disk, capsys):
    before = files(cut)
    for seconds in ("0", "1000"):
        assert main([*SCAN, "--out", str(cut), "--resume", "--checkpoint-seconds", seconds]) == 2
        assert capsys.readouterr().err.count("cannot be written: File too large\n") == 1
        assert files(cut) == before


def test_a_full_disk_leaves_a_saved_model_as_it_was(run, small_disk):
    before, model = files(run), nsr.load(run)
    with pytest.raises(RunError, match="cannot be written: File too large"):
        model.save(run)
    assert files(run) == before


@pytest.mark.parametrize("command", [SCAN, GRU], ids=["model", "baseline"])
def test_a_folder_that_cannot_be_written_is_known_before_training(command, monkeypatch, capsys):
    monkeypatch.setattr("nsr.tasks.scan.Scan.load", lambda *arguments, **options: pytest.fail("it began"))
    assert main([*command, "--out", "/proc/nosuch"]) == 2  # not even by root
    assert capsys.readouterr().err.startswith("nsr: /proc/nosuch cannot be written: ")


# Damage


def test_the_files_of_a_run_are_those_tested_here(trained):
    assert sorted(files(trained)) == sorted(RUN_FILES)


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_damaged_run_gives_no_wrong_answer_silently(name, run):
    whole = nsr.load(run)
    expected = whole.predict(SENTENCES), whole.metrics
    content, noticed = (run / name).read_bytes(), 0
    for damage in damages(content):
        (run / name).write_bytes(damage)
        told: list[str] = []
        try:
            model = load_and_tell(run, told.append)
        except NSRError:
            noticed += 1
            continue
        assert bool(told) == (name == "lexicon.nsr") or name == MANIFEST  # its version is for people
        assert told or (model.predict(SENTENCES), model.metrics) == expected
        noticed += bool(told)
    assert noticed >= 8


@pytest.mark.parametrize(
    "name", ["state.json", *(name for name in RUN_FILES if name not in ("metrics.json", "history.jsonl", MANIFEST))]
)
def test_a_damaged_checkpoint_is_refused(name, cut):
    path = cut / "checkpoint" / name
    content = path.read_bytes()
    for damage in damages(content, 4):
        path.write_bytes(damage)
        with pytest.raises(RunError, match=r"checkpoint.* damaged"):
            nsr.train("scan", "length", **TINY, out=cut, resume=True)


def test_a_damaged_run_of_a_baseline_is_refused(tmp_path, capsys):
    command = [*GRU, "--out", str(tmp_path / "run"), "--resume"]
    assert main(command) == 0
    path = tmp_path / "run" / "metrics.json"
    content = path.read_text()
    path.write_text(content.replace('"count": 3920', '"count": 3921'))
    assert main(command) == 2
    assert f"nsr: {path} is damaged: " in capsys.readouterr().err
    path.write_text(content)
    (tmp_path / "run" / MANIFEST).unlink()
    assert main(command) == 2
    assert "is no run of a baseline" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*RUN_FILES, PROVENANCE])
def test_a_damaged_run_behind_a_table_is_not_used(name, trained_for_a_table, tmp_path):
    training, folder = trained_for_a_table
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert finished(copy, training)
    for damage in damages((copy / name).read_bytes()):
        (copy / name).write_bytes(damage)
        if finished(copy, training):  # in the version that the manifest names
            assert name == MANIFEST
            assert json.loads(damage)["files"] == json.loads((folder / MANIFEST).read_bytes())["files"]


@pytest.fixture(scope="module")
def trained_for_a_table(tmp_path_factory) -> tuple[Training, Path]:
    training = Training("scan", "length", 0, TINY)
    folder = tmp_path_factory.mktemp("runs") / training.name
    perform(training, folder)
    return training, folder


def test_a_lexicon_that_is_not_as_trained_is_told_of(run, tmp_path, capsys):
    assert main(["predict", str(run), "jump"]) == 0
    assert capsys.readouterr().err == ""
    path = run / "lexicon.nsr"
    path.write_text(path.read_text().replace('"I_JUMP"', '"I_JUMQ"'))
    note = f"note: {path} is not as it was trained: it was edited, or is damaged\n"
    tree = str(tmp_path / "tree.svg")
    for command in (["predict", run, "jump"], ["explain", run, "jump", "--out", tree], ["evaluate", run]):
        assert main(list(map(str, command))) == 0
        assert capsys.readouterr().err == note
    assert main([*SCAN, "--out", str(run), "--resume"]) == 0
    assert capsys.readouterr().err == note
    assert main([*SCAN, "--from", str(run)]) == 0
    assert note in capsys.readouterr().err


# Two processes


@pytest.mark.parametrize("command", [SCAN, GRU], ids=["model", "baseline"])
@pytest.mark.parametrize("more", [[], ["--resume"]], ids=["new", "resumed"])
def test_a_folder_that_another_process_trains_in_is_refused(command, more, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main([*command, "--out", str(folder), *more]) == 2
        error = f"nsr: another process is training {folder}; wait for it, or choose another folder\n"
        assert capsys.readouterr().err == error
        assert list(files(folder)) == [LOCK]
    assert main([*command, "--out", str(folder), *more]) == 0  # a lock that a kill has left is taken
    assert LOCK not in files(folder)


def test_a_lock_leaves_nothing_but_what_was_written(tmp_path):
    for content in ({}, {"mine": b"1"}):
        with locked(tmp_path / "new" / "run"), locked(tmp_path / "new" / "run"):  # the same process may
            for name in content:
                write_file(tmp_path / "new" / "run" / name, content[name])
        assert files(tmp_path / "new") == {f"run/{name}": content[name] for name in content}
    with locked(tmp_path / "empty"):
        pass
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("name", ["config.json", "manifest.json"])
def test_where_a_file_is_a_folder_nothing_is_written(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / "lexicon.nsr").write_bytes(b"old")
    with pytest.raises(RunError, match=rf"{name} is a folder; choose another name"):
        write_folder(tmp_path, {"lexicon.nsr": b"new", "config.json": b"new"})
    assert files(tmp_path) == {"lexicon.nsr": b"old"}


def test_writers_of_the_same_file_do_not_mix(tmp_path):
    path, contents = tmp_path / "file", [bytes([each]) * (1 << 16) for each in range(4)]
    path.write_bytes(contents[0])
    writers = [
        threading.Thread(target=lambda each=each: [write_file(path, each) for _ in range(20)]) for each in contents
    ]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        assert path.read_bytes() in contents
    assert list(files(tmp_path)) == ["file"]
