"""Run folders: whole or not at all, whatever moment a process ends at; and a resumed run is the undisturbed one."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import nsr
from nsr.errors import RunError
from nsr.experiment import Run
from nsr.runs import (
    FORMAT,
    MANIFEST,
    parse_json,
    read_checkpoint,
    read_folder,
    remove_checkpoint,
    to_json,
    write_checkpoint,
    write_file,
    write_folder,
)
from nsr.tasks.string_edits import generate, meaning

FILES = {"config.json": b"{}\n", "lexicon.nsr": b"\n", "weights": bytes(range(256))}
OLD = {**FILES, "state.json": b"1\n"}
NEW = {**FILES, "state.json": b"2\n"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# One file


def test_a_file_is_written(tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"", bytes(range(256))):
        write_file(path, content)
        assert path.read_bytes() == content
        assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("operation", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()], ids=["full", "interrupt"])
@pytest.mark.parametrize("before", [{}, {"file": b"old"}], ids=["new", "replaced"])
def test_a_failed_writing_leaves_what_there_was(operation, error, before, tmp_path, monkeypatch):
    def fail(*args):
        raise error

    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(os, operation, fail)
    with pytest.raises(type(error)):
        write_file(tmp_path / "file", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_kill_leaves_of_a_writing_is_taken_over(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:  # a kill runs no handlers
        patch.setattr(os, "replace", lambda *args: None)
        write_file(path, b"half")
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


# A folder


def test_a_folder_is_read_as_it_was_written(tmp_path):
    folder = tmp_path / "new" / "run"
    write_folder(folder, FILES)
    assert read_folder(folder) == FILES
    assert names(folder) == sorted([*FILES, MANIFEST])
    write_folder(folder, NEW)
    assert read_folder(folder) == NEW


def test_the_manifest_is_renamed_first_when_all_is_written(tmp_path, monkeypatch):
    order = []
    replace = os.replace
    written = [f".{name}.new" for name in (MANIFEST, *FILES)]

    def watched(source, target):
        assert set(names(tmp_path)) == {*written[len(order) :], *order}
        order.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_folder(tmp_path, FILES)
    assert order == [MANIFEST, *FILES]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match="file cannot be written"):
        write_folder(tmp_path / "file", FILES)


def test_the_lexicon_may_be_edited(tmp_path):
    write_folder(tmp_path, FILES)
    (tmp_path / "lexicon.nsr").write_bytes(b"edited")
    assert read_folder(tmp_path) == {**FILES, "lexicon.nsr": b"edited"}


def manifest(**changes: object) -> bytes:
    return to_json({"format": FORMAT, "version": "0", "files": {}, **changes})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (MANIFEST, None, "holds no finished model .* --resume"),
        (MANIFEST, b"", "manifest.json is damaged: it is not JSON"),
        (MANIFEST, b"\xff", "manifest.json is damaged: it is not JSON"),
        (MANIFEST, b"[" * 100_000, "manifest.json is damaged: it is not JSON"),
        (MANIFEST, b"[]", "manifest.json is damaged"),
        (MANIFEST, b"{}", "manifest.json is damaged"),
        (MANIFEST, manifest(files=3), "manifest.json is damaged"),
        (MANIFEST, manifest(format=1), "has format 1, written by nsr 0; nsr .* reads format 4"),
        (MANIFEST, manifest(files={"../secret": ""}), "'../secret' is not a file name"),
        (MANIFEST, manifest(files={"/secret": ""}), "'/secret' is not a file name"),
        ("weights", None, "weights cannot be read: No such file"),
        ("weights", b"", "weights is damaged: its checksum"),
        ("weights", bytes(range(255)), "weights is damaged: its checksum"),
        ("weights", bytes([1, *range(1, 256)]), "weights is damaged: its checksum"),
        ("lexicon.nsr", None, "lexicon.nsr cannot be read"),
    ],
)
def test_a_damaged_folder_is_an_error(name, content, message, tmp_path):
    write_folder(tmp_path, FILES)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match=message):
        read_folder(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RunError, match="nosuch is not a run folder"):
        read_folder(tmp_path / "nosuch")


@pytest.mark.parametrize("data", [{"a": [1, 2.5, None, "ü"]}, [], 0.1 + 0.2, 1e-300])
def test_json_is_exact(data, tmp_path):
    assert parse_json(to_json(data), tmp_path) == data


# Checkpoints


def make(folder: Path, state: str) -> None:
    """Make a folder that is whole (with the old or the new files) or lacks its manifest."""
    write_folder(folder, OLD if state == "old" else NEW)
    if state == "half":
        (folder / MANIFEST).unlink()


# Folders that a kill may leave, by suffix, and the files that count.
STATES = [
    ({}, None),
    ({".new": "half"}, None),
    ({".new": "old"}, OLD),
    ({".old": "old"}, OLD),
    ({".old": "old", ".new": "half"}, OLD),
    ({"": "old"}, OLD),
    ({"": "old", ".new": "half"}, OLD),
    ({"": "old", ".new": "new"}, OLD),
    ({".old": "old", ".new": "new"}, NEW),
    ({"": "new", ".old": "old"}, NEW),
    ({"": "new", ".old": "half"}, NEW),
]


@pytest.fixture(params=STATES, ids=lambda state: str(state[0]))
def left(request, tmp_path):
    """A checkpoint as a kill has left it, and what should be read from it."""
    folders, expected = request.param
    checkpoint = tmp_path / "run" / "checkpoint"
    checkpoint.parent.mkdir()
    for suffix, state in folders.items():
        make(checkpoint.with_name(checkpoint.name + suffix), state)
    return checkpoint, expected


def test_the_newest_whole_checkpoint_is_read(left):
    checkpoint, expected = left
    assert read_checkpoint(checkpoint) == expected


def test_a_checkpoint_replaces_all_that_was_left(left):
    checkpoint, _ = left
    latest = {**FILES, "state.json": b"3\n"}
    write_checkpoint(checkpoint, latest)
    assert read_checkpoint(checkpoint) == latest
    assert names(checkpoint.parent) == ["checkpoint"]
    remove_checkpoint(checkpoint)
    assert names(checkpoint.parent) == []


def test_all_that_was_left_is_removed(left):
    checkpoint, _ = left
    remove_checkpoint(checkpoint)
    assert names(checkpoint.parent) == []


def test_a_kill_at_any_operation_loses_no_checkpoint(left, tmp_path, monkeypatch):
    checkpoint, before = left
    latest = {**FILES, "state.json": b"3\n"}
    moments = []

    def watched(operation):
        def run(*args, **options):
            moments.append(shutil.copytree(checkpoint.parent, tmp_path / f"moment{len(moments)}"))
            return operation(*args, **options)

        return run

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink", "rmdir", "fsync"):
            patch.setattr(os, name, watched(getattr(os, name)))
        write_checkpoint(checkpoint, latest)
    found = [read_checkpoint(moment / "checkpoint") for moment in [*moments, checkpoint.parent]]
    assert len(found) > 2 * len(FILES)
    turn = found.index(latest)
    assert all(each == before for each in found[:turn])
    assert all(each == latest for each in found[turn:])


def test_a_damaged_checkpoint_is_an_error(tmp_path):
    write_checkpoint(tmp_path / "checkpoint", OLD)
    (tmp_path / "checkpoint" / "weights").write_bytes(b"")
    with pytest.raises(RunError, match="weights is damaged"):
        read_checkpoint(tmp_path / "checkpoint")


# Runs: the same seed gives the same files, and so does a run that was stopped and resumed.

SETTINGS = {
    "solved": {"split": "length", "max_tokens": 4},
    "unsolved": {"split": "addprim_jump", "word_order": "raw", "max_tokens": 4, "rounds": 2},
    "tied": {"split": "addprim_jump", "word_order": "raw", "max_tokens": 5, "rounds": 4},
}


class Stop(Exception):
    """Ends a run right after a checkpoint."""


def content(folder: Path) -> dict[str, object]:
    """The files of a run without what is different each time: seconds and memory."""
    files: dict[str, object] = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert names(folder) == sorted(files)  # no folder is left
    metrics = json.loads(files["metrics.json"])
    files[MANIFEST] = sorted(json.loads(files[MANIFEST])["files"])  # some have seconds in them
    assert files[MANIFEST] == sorted(files.keys() - {MANIFEST})
    del metrics["seconds"], metrics["peak_memory_mb"]
    history = [json.loads(line) for line in files["history.jsonl"].splitlines()]
    for record in history:
        del record["seconds"]
    return {**files, "metrics.json": metrics, "history.jsonl": history}


@pytest.fixture(scope="module", params=SETTINGS.values(), ids=SETTINGS)
def undisturbed(request, tmp_path_factory):
    """Settings, and the files of a run with them."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    nsr.train("scan", **request.param, out=folder)
    return request.param, content(folder)


def test_the_same_seed_gives_the_same_files(undisturbed, tmp_path):
    settings, expected = undisturbed
    nsr.train("scan", **settings, out=tmp_path / "run", checkpoint_seconds=0)
    assert content(tmp_path / "run") == expected


def test_another_seed_gives_other_files(tmp_path):
    for seed in (0, 1):
        nsr.train("scan", **SETTINGS["solved"], seed=seed, out=tmp_path / str(seed))
    first, second = (content(tmp_path / str(seed)) for seed in (0, 1))
    assert first["parser.safetensors"] != second["parser.safetensors"]
    assert first["lexicon.nsr"] == second["lexicon.nsr"]


def test_a_resumed_run_is_the_undisturbed_one(undisturbed, tmp_path, monkeypatch):
    settings, expected = undisturbed
    rounds = len(expected["history.jsonl"])
    save = Run.save
    for stops in ([1], [rounds // 2], [rounds], range(1, rounds + 1)):
        folder = tmp_path / f"run{stops}"
        for stop in stops:

            def save_and_stop(self, model, position, records, total, stop=stop):
                save(self, model, position, records, total)
                if len(records) >= stop:
                    raise Stop

            monkeypatch.setattr(Run, "save", save_and_stop)
            with pytest.raises(Stop):
                nsr.train("scan", **settings, out=folder, checkpoint_seconds=0, resume=folder.exists())
            assert names(folder) == ["checkpoint"]
            with pytest.raises(RunError, match="holds no finished model"):
                nsr.load(folder)
        monkeypatch.setattr(Run, "save", save)
        model = nsr.train("scan", **settings, out=folder, checkpoint_seconds=0, resume=True)
        assert content(folder) == expected
        assert model.metrics == json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
def test_a_resumed_run_of_images_is_the_undisturbed_one(tmp_path, monkeypatch):
    """With so little training nothing is learned well; it has to be the same all the same."""
    few = {"examples": 400, "tested": 50, "pool": 128, "batch": 64, "final": 128, "rounds": 2, "perception": "given"}
    small = {"channels": "8 8 16 16", "image_steps": 20, "views": 2}
    learn = partial(nsr.train, "hint", input="images", seed=0, checkpoint_seconds=0, **few, **small)
    learn(out=tmp_path / "undisturbed")
    expected, save = content(tmp_path / "undisturbed"), Run.save
    rounds = len(expected["history.jsonl"])
    for stop in (2, rounds - 1):

        def save_and_stop(self, model, position, records, total, stop=stop):
            save(self, model, position, records, total)
            if len(records) == stop:
                raise Stop

        monkeypatch.setattr(Run, "save", save_and_stop)
        with pytest.raises(Stop):
            learn(out=tmp_path / str(stop))
        learn(out=tmp_path / str(stop), resume=True)
        assert content(tmp_path / str(stop)) == expected


def test_a_run_that_was_killed_while_it_wrote_its_results_is_resumed(undisturbed, tmp_path, monkeypatch):
    settings, expected = undisturbed
    for count in (0, len(expected) // 2, len(expected)):

        def finish(self, model, records, count=count):
            for name in sorted(expected)[:count]:
                (self.folder / name).write_bytes(b"half")
            raise Stop

        folder = tmp_path / str(count)
        with monkeypatch.context() as patch:
            patch.setattr(Run, "finish", finish)
            with pytest.raises(Stop):
                nsr.train("scan", **settings, out=folder, checkpoint_seconds=0)
        (folder / "metrics.json").unlink(missing_ok=True)  # it is written last, and whole
        nsr.train("scan", **settings, out=folder, resume=True)
        assert content(folder) == expected


def test_a_checkpoint_left_behind_by_a_finished_run_is_removed(undisturbed, tmp_path, monkeypatch):
    settings, expected = undisturbed
    with monkeypatch.context() as patch:
        patch.setattr("nsr.training_run.remove_checkpoint", lambda folder: None)
        nsr.train("scan", **settings, out=tmp_path, checkpoint_seconds=0)
    assert "checkpoint" in names(tmp_path)
    nsr.train("scan", **settings, out=tmp_path, resume=True)
    assert content(tmp_path) == expected


def stop_after_first_checkpoint(monkeypatch, **settings):
    """Train on SCAN until a checkpoint is written."""

    def stop(self, *args):
        save(self, *args)
        raise Stop

    save = Run.save
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", stop)
        with pytest.raises(Stop):
            nsr.train("scan", **settings, checkpoint_seconds=0)


def test_a_run_is_not_resumed_as_another(tmp_path, monkeypatch):
    settings = SETTINGS["solved"]
    stop_after_first_checkpoint(monkeypatch, **settings, out=tmp_path)
    for change in ({"seed": 1}, {"split": "simple"}, {"batch": 5}, {"word_order": "raw"}):
        with pytest.raises(RunError, match=f"was begun with {next(iter(change))} = "):
            nsr.train("scan", **{**settings, **change}, out=tmp_path, resume=True)


def test_a_checkpoint_of_other_kinds_is_damaged(tmp_path, monkeypatch):
    """Its checksums are right: somebody made it."""
    settings, checkpoint = SETTINGS["solved"], tmp_path / "checkpoint"
    stop_after_first_checkpoint(monkeypatch, **settings, out=tmp_path)
    files = read_folder(checkpoint)
    state = json.loads(files["state.json"])
    for forged in ([], {**state, "run": 1}, {**state, "position": {**state["position"], "stage": "x"}}):
        write_checkpoint(checkpoint, {**files, "state.json": to_json(forged)})
        with pytest.raises(RunError, match=r"state\.json is damaged"):
            nsr.train("scan", **settings, out=tmp_path, resume=True)


def test_a_run_is_resumed_with_the_run_it_builds_on(tmp_path, monkeypatch):
    base, settings = str(tmp_path / "base"), {"split": "addprim_jump", "max_tokens": 2}
    nsr.train("scan", **settings, out=base)
    for began, resumed in ((base, None), (None, base)):
        run = tmp_path / f"from {resumed is None}"
        stop_after_first_checkpoint(monkeypatch, **settings, out=run, from_run=began)
        message = re.escape(f"was begun with from_run = {began!r}, not {resumed!r}")
        with pytest.raises(RunError, match=message):
            nsr.train("scan", **settings, out=run, from_run=resumed, resume=True)
        nsr.train("scan", **settings, out=run, from_run=began, resume=True)
        with pytest.raises(RunError, match=message):  # finished, it is still another
            nsr.train("scan", **settings, out=run, from_run=resumed, resume=True)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_is_the_undisturbed_one(tmp_path):
    options = "train scan --split length --checkpoint-seconds 0 --quiet"
    command = [sys.executable, "-m", "nsr", *options.split()]
    expected = tmp_path / "expected"
    subprocess.run([*command, "--out", str(expected)], check=True, timeout=300, stdout=subprocess.DEVNULL)
    moments = random.Random(0)
    kills = 0
    for folder in map(tmp_path.joinpath, ("first", "second", "third")):
        status = None
        while status != 0:
            before = progress(folder)
            process = subprocess.Popen([*command, "--out", str(folder), "--resume"], stdout=subprocess.DEVNULL)
            while process.poll() is None and progress(folder) == before:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.15))
            process.kill()  # SIGKILL, unless it has finished
            status = process.wait(timeout=60)
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
        assert content(folder) == content(expected)
    assert kills > 0  # about ten


# What a process trains and, where a second argument says so, stops after the first checkpoint.
TRAINING = """
import json, sys
import nsr
from nsr.experiment import Run

class Stop(Exception):
    pass

def save_and_stop(*arguments):
    save(*arguments)
    raise Stop

save = Run.save
if len(sys.argv) > 2:
    Run.save = save_and_stop
for settings in json.loads(sys.argv[1]):
    try:
        nsr.train(**settings, checkpoint_seconds=0, resume=True)
    except Stop:
        pass
"""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_in_any_process(tmp_path):
    """Nothing depends on the order of sets, which differs from process to process, nor on where a run was stopped."""
    sentences = generate(100, np.random.default_rng(0))
    brief = {"separators": ",", "max_tokens": 6, "rounds": 2}  # ends long before all is explained
    numbers = {"one": 1, "two": 2, "three": 3, "four": 4}
    sums = [(f"{left} plus {right}", numbers[left] + numbers[right]) for left in numbers for right in numbers]
    pairs = {
        "strings": [(" ".join(each), " ".join(meaning(each))) for each in sentences],
        "sums": [*numbers.items(), *sums],
    }
    for name, lines in pairs.items():
        (tmp_path / f"{name}.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in lines), "utf-8")
    files = {name: {part: str(tmp_path / f"{name}.tsv") for part in ("train", "test")} for name in pairs}
    runs = {
        "sampled": {"task": "scan", "split": "length", "max_tokens": 4, "search": "mh"},
        "strings": {"task": "pairs", **files["strings"], "primitives": "list-reverse", "literals": True, **brief},
        "sums": {"task": "pairs", **files["sums"], "primitives": "int"},
    }

    def train(folder: Path, hash_seed: int, *stopped: str) -> None:
        settings = json.dumps([{**each, "out": str(folder / name)} for name, each in runs.items()])
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        subprocess.run([sys.executable, "-c", TRAINING, settings, *stopped], check=True, timeout=300, env=environment)

    train(tmp_path / "first", 1)
    train(tmp_path / "second", 2)
    train(tmp_path / "resumed", 3, "stopped")
    assert all(names(tmp_path / "resumed" / name) == ["checkpoint"] for name in runs)
    train(tmp_path / "resumed", 4)
    for name in runs:
        expected = content(tmp_path / "first" / name)
        assert len(expected["history.jsonl"]) > 1
        assert content(tmp_path / "second" / name) == expected
        assert content(tmp_path / "resumed" / name) == expected


def progress(folder: Path) -> object:
    """Something that changes with each checkpoint."""
    try:
        return (folder / "checkpoint" / "state.json").stat().st_ino
    except OSError:
        return None
