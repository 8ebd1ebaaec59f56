"""Attack runs with faults and count what is lost: kills, full disks, read-only folders, damaged files, two processes.

python scripts/faults.py --quick                                # a smoke test: few faults of each kind, none of HINT
python scripts/faults.py --out results                          # all, and faults.md, faults.json

A fault is survived if what follows is as if it had not been (the same metrics, programs and weights), or if it is one
clear line and what there was before can still be read. Whatever else happens is lost. Needs Linux; as root it also
mounts small file systems and tries without permissions.
"""

import argparse
import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

import nsr
import nsr.reports.trees  # a process without rights may be unable to import what commands need
from nsr.baselines.experiment import train_baseline
from nsr.cli.main import main as command_line
from nsr.errors import NSRError
from nsr.experiment import load_and_tell
from nsr.reports import reproduction
from nsr.reports.measurement import commit, machine, write_outputs
from nsr.reports.performing import finished
from nsr.reports.tables import AccuracyTable, Variant, markdown
from nsr.reports.trainings import Training
from nsr.runs import LOCK, MANIFEST, PROVENANCE, to_json
from nsr.tasks import hint, make_task

TIMES = ("seconds", "final", "total", "peak_memory_mb")  # of metrics and histories: differ each time
SENTENCES = ("jump", "walk around left twice", "run after look", "turn opposite right and jump thrice")
NOBODY = 65534
TABLE = "faults"  # of two tiny runs
SCAN = ["train", "scan", "--split", "length", "--max-tokens", "4", "--quiet"]
HINT = ["train", "hint", "--max-tokens", "3", "--examples", "500", "--quiet"]
SAME = "same as undisturbed"
WRONG = "wrong answer"
EPOCHS = 30  # of a baseline
MARGIN = 8192  # bytes of a file's beginning and end, where its structure is


Ended = tuple[int, list[str]]  # an exit status, and the lines on stderr


class Child(NamedTuple):
    """A process that runs a command of ``nsr``; its output goes to a file."""

    pid: int
    output: Path

    def wait(self) -> Ended:
        """Its exit status (negative for a signal), and the lines it printed on stderr."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        lines = self.output.read_text(encoding="utf-8").splitlines()
        self.output.unlink()
        return status, lines

    def kill(self) -> bool:
        """Kill it unless it has ended; whether it was killed."""
        os.kill(self.pid, signal.SIGKILL)
        status, lines = self.wait()
        if status not in (0, -signal.SIGKILL):
            raise SystemExit(f"it failed before it was killed: {lines}")
        return status != 0

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def fork(job: Callable[[], int]) -> Child:
    """Fork a process, which spares it the imports; its exit status is what the job returns."""
    handle, output = tempfile.mkstemp(prefix="nsr-faults-")
    pid = os.fork()
    if pid:
        os.close(handle)
        return Child(pid, Path(output))
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(handle, 2)
        status = job()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}\nuncaught", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def start(arguments: Iterable[object], before: Callable[[], object] = lambda: None) -> Child:
    """Fork a process that runs a command of ``nsr``."""

    def job() -> int:
        before()
        return command_line([str(each) for each in arguments])

    return fork(job)


def run(arguments: Iterable[object], before: Callable[[], object] = lambda: None) -> Ended:
    """Run a command of ``nsr`` to its end: its exit status, and the lines it printed on stderr."""
    return start(arguments, before).wait()


def without_times(data: Any) -> Any:
    """Data of a run but for what differs each time."""
    if isinstance(data, dict):
        return {name: without_times(value) for name, value in data.items() if name not in TIMES}
    return list(map(without_times, data)) if isinstance(data, list) else data


def content(folder: Path) -> dict[str, Any]:
    """The files of a folder, hidden ones included, but for times, and for checksums of files that have some."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name, data = str(path.relative_to(folder)), path.read_bytes() if path.is_file() else None
        if name.endswith((".json", ".jsonl")) and data is not None:
            text = data.decode()
            data = without_times(list(map(json.loads, text.splitlines() if name.endswith("l") else [text])))
        if path.name == MANIFEST:
            data[0]["files"] = sorted(data[0]["files"])
        if path.name == PROVENANCE:
            del data[0]["sessions"]
        if data is not None:
            found[name] = data
    return found


def raw(folder: Path) -> dict[str, bytes]:
    """The files of a folder, hidden ones included, as they are."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Fault:
    """A kind of fault, and how often it was tried.

    Attributes:
        kind: what was done.
        tried, survived: how often, and how often nothing was lost.
        outcomes: what followed, and how often.
        losses: what was lost, a line each.
    """

    kind: str
    tried: int = 0
    survived: int = 0
    outcomes: Counter = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)

    def count(self, survived: bool, outcome: str, found: object, case: object, times: int = 1) -> None:
        """Take down what followed a fault, or several: an outcome if it was survived, else what was found."""
        self.tried += times
        self.outcomes[outcome if survived else f"{found}"] += times
        if survived:
            self.survived += times
        else:
            self.losses.append(f"{case}: {found}")

    def count_refused(self, ended: Ended, message: str, case: object) -> None:
        """Take down whether a command was refused with a single line that says so."""
        self.count(one_line(ended, message), "one line", ended, case)

    @property
    def lost(self) -> int:
        """How often something was lost."""
        return self.tried - self.survived


class Attack:
    """All faults, tried in a folder of their own.

    Args:
        folder: where.
        seed: of all that is random.
        share: of the faults of each kind, at least one; without HINT, whose data take long, unless it is all.
    """

    def __init__(self, folder: Path, seed: int, share: float) -> None:
        self.folder, self.seed, self.share = folder, seed, share
        self.random = random.Random(seed)
        self.root = os.getuid() == 0
        self.count = 0
        self.undisturbed: dict[str, Path] = {}
        self.seconds: dict[str, float] = {}  # of undisturbed commands
        pairs = folder / "pairs.tsv"
        words = {"": 1, " twice": 2, " thrice": 3}
        pairs.write_text(
            "".join(f"{a}{word}\t{' '.join(a.upper() * words[word])}\n" for a in "abcdefgh" for word in words)
        )
        self.pairs = ["train", "pairs", "--train", pairs, "--test", pairs, "--quiet"]
        self.baseline = ["train-baseline", *self.pairs[1:], "--model", "gru", "--epochs", str(EPOCHS)]
        os.environ["NSR_CACHE"] = str(folder / "cache")
        make_task("scan").load("length")  # which is kept in memory, also of the processes that are forked
        reproduction.TABLES[TABLE] = AccuracyTable(
            "scan", "Faults", tuple(Variant(split, split, {"max_tokens": 2}) for split in ("length", "simple"))
        )

    def faults(self) -> Iterator[Fault]:
        """Try all, kind by kind."""
        yield self.killed("killed in training: SCAN", SCAN, 30)
        yield self.killed("killed in training: own pairs", self.pairs, 20)
        if self.share == 1:
            yield self.killed("killed in training: HINT", HINT, 4)
        yield self.killed("killed in training: baseline", self.baseline, 11)
        yield self.killed("killed while saving: SCAN", SCAN, 15, saving=True)
        yield self.killed("killed while saving: baseline", self.baseline, 10, saving=True)
        yield self.table_killed(10)
        yield self.disk_full()
        yield self.forbidden()
        made, of_table = self.made(SCAN), min(self.whole_table[0].iterdir())
        yield self.damaged("damaged: file of a run", made, answers_as(made))
        yield self.damaged("damaged: file of a checkpoint", self.interrupted(SCAN) / "checkpoint", resumed_as(made))
        made = self.made(self.baseline)
        yield self.damaged("damaged: file of a baseline's run", made, finished_as(made, self.pairs[3]))
        yield self.damaged("damaged: file of a run behind a table", of_table, used_as(of_table))
        yield self.two_train(5)
        yield self.two_tables(2)
        if self.share == 1:
            yield self.cache_damaged()
            yield self.two_fill_the_cache(1)

    def times(self, number: int) -> int:
        """The share of a number, at least one."""
        return max(1, round(self.share * number))

    def fresh(self) -> Path:
        """A path where nothing is."""
        self.count += 1
        return self.folder / f"{self.count}"

    def made(self, command: list[object]) -> Path:
        """The folder of an undisturbed run, which is made once."""
        if (name := str(command)) not in self.undisturbed:
            self.undisturbed[name] = self.fresh()
            self.run_undisturbed(name, [*command, "--out", self.undisturbed[name]])
        return self.undisturbed[name]

    def run_undisturbed(self, name: str, command: list[object]) -> None:
        """Run a command to its end, and keep the seconds that it takes."""
        began = time.perf_counter()
        status, lines = run(command)
        if status:
            raise SystemExit(f"{name}: {lines}")
        self.seconds[name] = time.perf_counter() - began

    def interrupted(self, command: list[object]) -> Path:
        """The folder of a run that was killed after its first checkpoint."""
        folder = self.fresh()
        child = start([*command, "--out", folder, "--checkpoint-seconds", "0"])
        while not (folder / "checkpoint" / MANIFEST).is_file() and not child.ended:
            time.sleep(0.001)
        child.kill()
        return folder

    # Kills

    def killed(self, kind: str, command: list[object], number: int, *, saving: bool = False) -> Fault:
        """Kill a training at random moments, or while files are being written; resume it to its end each time."""
        fault = Fault(kind)
        expected, seconds = content(self.made(command)), self.seconds[str(command)]
        number = self.times(number)
        while fault.tried < number:
            folder, kills, amid = self.fresh(), 0, 0
            resume = [*command, "--out", folder, "--resume", "--checkpoint-seconds", "0" if saving else "0.1"]
            for _ in range(self.random.choice((1, 2))):  # the second one is of a resumed run
                child = start(resume)
                self.wait_for_saving(child, folder) if saving else time.sleep(self.random.uniform(0, seconds))
                kills += child.kill()
                amid += unfinished(folder)
            ended = run(resume)
            fault.count(ended[0] == 0 and content(folder) == expected, SAME, ended, folder, kills)
            if amid:
                fault.outcomes["of which files were half-written"] += amid
            shutil.rmtree(folder, ignore_errors=True)
        return fault

    def wait_for_saving(self, child: Child, folder: Path) -> None:
        """Until files are being written, for the first to the sixth time."""
        for _ in range(self.random.randint(1, 6)):
            while not child.ended and not unfinished(folder):
                time.sleep(0.0002)
            time.sleep(self.random.uniform(0, 0.005))

    def table(self, runs: Path, out: Path) -> list[object]:
        """The command that makes a table."""
        return ["table", TABLE, "--seeds", "1", "--runs", runs, "--out", out, "--no-plots", "--checkpoint-seconds", "0"]

    @cached_property
    def whole_table(self) -> tuple[Path, Path]:
        """The folders of runs and tables of an undisturbed command."""
        runs, out = self.fresh(), self.fresh()
        self.run_undisturbed(TABLE, self.table(runs, out))
        return runs, out

    def table_killed(self, number: int) -> Fault:
        """Kill a table at random moments and call it again until it is complete."""
        fault = Fault("killed: table")
        expected, seconds = table_content(*self.whole_table), self.seconds[TABLE]
        number = self.times(number)
        while fault.tried < number:
            runs, out, kills = self.fresh(), self.fresh(), 0
            for _ in range(min(3, number - fault.tried)):
                child = start(self.table(runs, out))
                time.sleep(self.random.uniform(0, seconds))
                kills += child.kill()
                wait_for_locks(runs)
            ended = run(self.table(runs, out))
            fault.count(ended[0] == 0 and table_content(runs, out) == expected, SAME, ended, runs, kills)
        return fault

    # Disks and permissions

    def disk_full(self) -> Fault:
        """Let the disk, or the space for a file, end while things are written."""
        fault = Fault("disk full")
        expected = content(self.made(SCAN))
        for kilobytes in self.some([0, 4, 8, 16, 32, 64, 72, 80, 88, 96, 128, 144, 160, 176, 192, 224]):
            with self.disk(kilobytes) as (disk, limit, grow):
                folder = disk / "run"
                command = [*SCAN, "--out", folder, "--checkpoint-seconds", "0", "--resume"]
                ended = run(command, limit)
                grow()
                again = run(command)
                clear = ended[0] == 0 or one_line(ended, "cannot be written")
                ok = clear and again[0] == 0 and content(folder) == expected
                outcome = f"one line; then {SAME}" if ended[0] else "fits"
                fault.count(ok, outcome, (ended, again), f"{kilobytes} kB")
        for name, command, files in self.writers():
            with self.disk(0) as (disk, limit, grow):
                folder = disk / "out"
                folder.mkdir()
                for each in files:
                    (folder / each).write_bytes(b"")
                before = raw(folder)
                ended = run([*command, folder, *(["--force"] if "generate" in command else [])], limit)
                ok = one_line(ended, "cannot be written") and raw(folder) == before
                fault.count(ok, "one line; what there was stays", ended, name)
        return fault

    def writers(self) -> list[tuple[str, list[object], list[str]]]:
        """Other commands that write files: name, command without the folder, and files that are there before."""
        trained = self.made(SCAN)
        return [
            ("data", ["data", "generate", "scan", "--split", "length", "--out"], ["train.tsv", "data.json"]),
            ("export", ["export", trained, "--out"], []),
            ("table", ["table", "pcfg-induction", "--seeds", "1", "--no-plots", "--out"], ["pcfg-induction.md"]),
        ]

    def forbidden(self) -> Fault:
        """Write to folders that may not be written to, and read files that may not be read."""
        fault = Fault("read-only, or no permission")
        trained, cut = shutil.copytree(self.made(SCAN), self.fresh()), self.interrupted(SCAN)
        closed = self.fresh()
        closed.mkdir()
        drop = become_nobody if self.root else lambda: None
        self.folder.chmod(0o755)
        resume = [*SCAN, "--out", cut, "--resume"]
        commands = [[*SCAN, "--out", closed / "run"], [*self.baseline, "--out", closed / "run"]]
        commands += [[*command, closed / "out"] for _, command, _ in self.writers()]
        commands += [resume, ["explain", trained, "jump", "--out", closed / "a.svg"]]
        read = [["predict", trained, "jump"], ["evaluate", trained], ["export", trained, "--out", closed / "out"]]
        before = [raw(each) for each in (trained, cut, closed)]
        for mode, wanted, tried in ((0o555, "cannot be written", commands), (0o000, "ermission denied", read)):
            for folder in (closed, trained, cut):
                folder.chmod(mode)
            for command in tried:
                fault.count_refused(run(command, drop), wanted, command)
            for folder in (closed, trained, cut):
                folder.chmod(0o755)
        for name in (MANIFEST, "config.json", "lexicon.nsr", "parser.safetensors"):
            (trained / name).chmod(0)
            fault.count_refused(run(["predict", trained, "jump"], drop), "cannot be read", name)
            (trained / name).chmod(0o644)
        if self.root:
            with self.disk(4096) as (disk, _, _):
                remount(disk, "ro")
                for command in [*(command for _, command, _ in self.writers()), [*SCAN, "--out"]]:
                    fault.count_refused(run([*command, disk / "out"]), "cannot be written", command)
        changed = before != [raw(each) for each in (trained, cut, closed)]
        ended = run(resume)
        same = not changed and ended[0] == 0 and content(cut) == content(trained)
        fault.count(same, f"then {SAME}", "files have changed" if changed else ended, cut)
        return fault

    @contextmanager
    def disk(self, kilobytes: int) -> Iterator[tuple[Path, Callable[[], None], Callable[[], None]]]:
        """A folder on a disk of this size, what limits a process to it, and what makes it larger.

        Without the right to mount one, it is the size of each file that is limited.
        """
        folder = self.fresh()
        folder.mkdir()
        if self.root:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={max(4, kilobytes)}k", "nsr", folder], check=True)
            if not kilobytes:
                (folder / "full").write_bytes(bytes(4096))
            try:
                yield folder, lambda: None, lambda: remount(folder, "size=8m")
            finally:
                subprocess.run(["umount", folder], check=True)
        else:
            yield folder, lambda: limit_files(1024 * kilobytes), lambda: None

    def some(self, cases: list[Any]) -> list[Any]:
        """A share of the cases, in their order."""
        return sorted(self.random.sample(cases, self.times(len(cases))), key=cases.index)

    # Damage

    def damaged(self, kind: str, folder: Path, outcome: Callable[[Path], str]) -> Fault:
        """Flip a bit of each file, and cut each short; ``outcome`` of the damaged folder is not to be WRONG."""
        fault = Fault(kind)
        for name in sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != LOCK):
            whole = (folder / name).read_bytes()
            for how, damage in self.damages(whole):
                copy = shutil.copytree(folder, self.fresh() / folder.name)
                (copy / name).write_bytes(damage)
                try:
                    found = outcome(copy)
                    survived = found != WRONG
                except NSRError as error:
                    survived, found = "\n" not in str(error), "one line"
                except Exception as error:
                    survived, found = False, f"{type(error).__name__}: {error}"
                fault.count(survived, found, found, f"{name}, {how}")
                shutil.rmtree(copy.parent)
        return fault

    def damages(self, whole: bytes) -> Iterator[tuple[str, bytes]]:
        """Damaged contents of a file: 20 flipped bits, half of them near its ends, and four lengths."""
        for turn in range(self.times(20)):
            place = self.random.randrange(len(whole))
            if turn % 2:
                place = self.random.choice([place % MARGIN, len(whole) - 1 - place % MARGIN]) % len(whole)
            flipped = bytearray(whole)
            flipped[place] ^= 1 << self.random.randrange(8)
            yield f"bit at {place}", bytes(flipped)
        for length in self.some([0, 1, len(whole) // 2, len(whole) - 1]):
            yield f"cut to {length}", whole[:length]

    def cache_damaged(self) -> Fault:
        """Damage the file of published expressions; what is read from it is right, or nothing is."""
        fault = Fault("damaged: cache")
        path = make_task("hint").cache_file
        hint.expressions()
        whole, expected = path.read_bytes(), arrays_of(hint._read_cache(path))
        for how, damage in self.damages(whole):
            path.write_bytes(damage)
            found = hint._read_cache(path)
            survived = found is None or arrays_of(found) == expected
            fault.count(survived, "made anew" if found is None else "the same", WRONG, how)
        hint.expressions.cache_clear()
        found = hint.expressions()  # of the file that was damaged last
        ok = arrays_of(found) == expected == arrays_of(hint._read_cache(path))
        fault.count(ok, "made anew", WRONG, "written again")
        return fault

    # Two processes

    def run_twice(self, command: list[object]) -> list[Ended]:
        """Run a command, and soon after once more beside it; how the second and the first ended."""
        first = start(command)
        time.sleep(self.random.uniform(0, 0.2))
        return [start(command).wait(), first.wait()]

    def two_train(self, number: int) -> Fault:
        """Two processes train, resume or train a baseline in one folder at once."""
        fault = Fault("two processes: one run folder")
        for command, begun in ((SCAN, False), (SCAN, True), (self.baseline, False)):
            expected = content(self.made(command))
            for _ in range(self.times(number)):
                folder = self.interrupted(command) if begun else self.fresh()
                options = ["--out", folder, "--checkpoint-seconds", "0", *(["--resume"] if begun else [])]
                ended = self.run_twice([*command, *options])
                refused = [one_line(each, "another process is training|is not empty") for each in ended]
                right = sum(status == 0 for status, _ in ended) + sum(refused) == 2 and content(folder) == expected
                outcome = "one trains, the other is refused" if any(refused) else "both have it"
                fault.count(right, outcome, ended, folder)
        return fault

    def two_tables(self, number: int) -> Fault:
        """Two processes make the same table at once."""
        fault = Fault("two processes: one table")
        expected = table_content(*self.whole_table)
        for _ in range(self.times(number)):
            runs, out = self.fresh(), self.fresh()
            ended = self.run_twice(self.table(runs, out))
            again = run(self.table(runs, out))
            right = {status for status, _ in ended} <= {0, 1} and again[0] == 0
            right = right and table_content(runs, out) == expected
            fault.count(right, "called again it is whole", (*ended, again), runs)
        return fault

    def two_fill_the_cache(self, number: int) -> Fault:
        """Two processes that need the published expressions at once, and there is no cache."""
        fault = Fault("two processes: one cache")
        path = make_task("hint").cache_file
        expected = arrays_of(hint.expressions())
        for _ in range(self.times(number)):
            path.unlink(missing_ok=True)
            ended = [each.wait() for each in [fork(lambda: drawn_again(expected)) for _ in range(2)]]
            left = sorted(each.name for each in path.parent.iterdir())
            right = ended == [(0, [])] * 2 and arrays_of(hint._read_cache(path)) == expected and left == [path.name]
            fault.count(right, "both have the data", (ended, left), path)
        return fault


def drawn_again(expected: dict[str, bytes]) -> int:
    """Get the published expressions, which are not in memory; 0 if they are as expected."""
    hint.expressions.cache_clear()
    return int(arrays_of(hint.expressions()) != expected)


def answers_as(folder: Path) -> Callable[[Path], str]:
    """What a damaged copy of a run answers, compared with the run."""
    whole = nsr.load(folder)
    expected = whole.predict(SENTENCES), whole.metrics

    def outcome(damaged: Path) -> str:
        told: list[str] = []
        model = load_and_tell(damaged, told.append)
        if told:
            return "told that the lexicon is not as trained"
        return "same answers" if (model.predict(SENTENCES), model.metrics) == expected else WRONG

    return outcome


def resumed_as(folder: Path) -> Callable[[Path], str]:
    """What comes of a run that is resumed from a damaged checkpoint, compared with an undisturbed one."""
    expected = content(folder)

    def outcome(damaged: Path) -> str:
        nsr.train("scan", "length", max_tokens=4, out=damaged.parent, resume=True)
        return SAME if content(damaged.parent) == expected else WRONG

    return outcome


def finished_as(folder: Path, pairs: Path) -> Callable[[Path], str]:
    """What a damaged copy of a baseline's run on these pairs says, compared with the run."""
    files = {"train": str(pairs), "test": str(pairs)}
    expected = json.loads((folder / "metrics.json").read_bytes())

    def outcome(damaged: Path) -> str:
        again = train_baseline("pairs", "gru", epochs=EPOCHS, out=damaged, resume=True, **files)
        return "same metrics" if again == expected else WRONG

    return outcome


def used_as(folder: Path) -> Callable[[Path], str]:
    """Whether a damaged copy of a run behind a table is used, compared with the run."""
    training = Training("scan", folder.name.split("-")[1], int(folder.name.split("-")[2]), {"max_tokens": 2})

    def files(path: Path) -> dict[str, bytes]:
        return {name: each for name, each in raw(path).items() if name != MANIFEST}

    expected = files(folder)

    def outcome(damaged: Path) -> str:
        if not finished(damaged, training):
            return "trained anew"
        return "same files" if files(damaged) == expected else WRONG

    return outcome


def arrays_of(found: Any) -> dict[str, bytes]:
    """All that is in the published expressions."""
    return {name: array.tobytes() for name, array in hint._arrays(found).items()}


def table_content(runs: Path, out: Path) -> dict[str, Any]:
    """A table and the runs behind it, but for times, and locks of processes that were killed."""
    table = without_times(json.loads((out / f"{TABLE}.json").read_bytes()))
    table["runs"] = sorted(table["runs"])
    files = content(runs)
    return {"table": [table["rows"], table["runs"]], "files": sorted(each.name for each in out.iterdir()), **files}


def unfinished(folder: Path) -> bool:
    """Whether some file or checkpoint in a run folder is half-written."""
    return any(folder.glob("checkpoint.*")) or any(folder.glob(".*.new"))


def wait_for_locks(runs: Path) -> None:
    """Until the processes that trained in these folders have ended."""
    for path in runs.glob(f"*/{LOCK}"):
        with suppress(FileNotFoundError), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def one_line(ended: Ended, message: str) -> bool:
    """Whether a command failed with a single line on stderr that says so."""
    status, lines = ended
    return status == 2 and len(lines) == 1 and re.search(message, lines[0]) is not None


def become_nobody() -> None:
    """Give up the rights of root."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def remount(folder: Path, options: str) -> None:
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond a size in bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def to_markdown(faults: list[Fault], footer: str) -> str:
    """All faults as a table, above a line that says where they come from."""
    rows = []
    for each in faults:
        followed = "; ".join(f"{outcome} ({count})" for outcome, count in sorted(each.outcomes.items()))
        rows.append((each.kind, str(each.tried), str(each.survived), str(each.lost), followed))
    sums = (str(sum(getattr(each, name) for each in faults)) for name in ("tried", "survived", "lost"))
    header = ("kind", "tried", "survived", "lost", "what followed")
    return markdown("Faults tried", header, [*rows, ("all", *sums)], footer)


def main(arguments: list[str] | None = None) -> int:
    """Try all faults; returns the exit status, 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the faults, and none of HINT")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places (default 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write faults.md and faults.json there")
    given = parser.parse_args(arguments)
    out = given.out and given.out.absolute()
    began, found = time.perf_counter(), []
    about = {"commit": commit(), "seed": given.seed, "quick": given.quick, "machine": machine()}
    torch.set_num_threads(1)  # a forked process has no others
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="nsr-faults-") as folder:
        os.chdir(folder)  # where commands put what they are not told to put elsewhere
        for fault in Attack(Path(folder), given.seed, 0.1 if given.quick else 1).faults():
            found.append(fault)
            print(f"{fault.kind}: {fault.tried} tried, {fault.lost} lost", *fault.losses, sep="\n  ", file=sys.stderr)
        os.chdir(here)
    about["seconds"] = round(time.perf_counter() - began, 1)
    cpu, cores, platform = (about["machine"][name] for name in ("cpu", "cores", "platform"))
    share = "a tenth of the faults, none of HINT; " if given.quick else ""
    where = f"{cpu}, {cores} cores, {platform}"
    footer = f"{share}seed {given.seed}; commit {about['commit']}; {where}; {about['seconds']:.0f} s"
    text = to_markdown(found, footer)
    print(text, end="")
    if out is not None:
        rows = [{**vars(each), "outcomes": dict(each.outcomes), "lost": each.lost} for each in found]
        write_outputs(out, {"faults.md": text.encode(), "faults.json": to_json({**about, "faults": rows})})
    return int(any(fault.lost for fault in found))


if __name__ == "__main__":
    sys.exit(main())
