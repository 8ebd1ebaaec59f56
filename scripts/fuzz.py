"""Attack nsr with bad input: every case must give a result or one clear error, in time and in memory.

python scripts/fuzz.py                                    # a million cases over all targets; takes most of an hour
python scripts/fuzz.py --cases 1000000 --out results      # and results/fuzz.md, fuzz.json; lost cases in results/lost
python scripts/fuzz.py programs runs --cases 20000        # two targets
python scripts/fuzz.py lexicons --engine atheris --cases 100000    # guided by coverage: pip install nsr[fuzz]; it
                                                          # writes fuzz-atheris.md, fuzz-atheris.json
python scripts/fuzz.py --replay results/lost/runs-0       # one case again, with its traceback
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from nsr.errors import ConfigError, NSRError

CASES = 1_000_000
MEMORY = 2**31  # address space that a target may take beyond what it starts with
VARIANTS = 100  # mutations of each case that hypothesis makes
ROUND = 500  # examples that hypothesis makes in a row
LONGEST = 1 << 17  # bytes of a mutated case
KEPT = 20  # lost cases of a target that are written down
PATIENCE = 20  # so many times the seconds of a processor that a case may take, on a busy machine or waiting
HEADER = ("target", "what is attacked", "cases", "survived", "lost", "seconds", "peak MB")


@dataclass
class Outcome:
    """What came of the cases of a target."""

    target: str
    summary: str
    engine: str
    cases: int = 0
    lost: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of the table, as HEADER says; a sum of targets has no peak."""
        counts = f"{self.cases:,}", f"{self.cases - self.lost:,}", str(self.lost)
        return self.target, self.summary, *counts, f"{self.seconds:.0f}", f"{self.peak_mb:.0f}" if self.peak_mb else ""

    def write(self, path: Path) -> None:
        """Leave it in a file, for another process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """The inverse of :meth:`write`."""
        return cls(**json.loads(path.read_bytes()))


class TooLong(BaseException):
    """A case takes longer than it may; not an Exception, so that nothing takes it for an error of its own."""


class Attack:
    """Tries cases of a target and counts.

    Args:
        name: of the target.
        folder: for the files of cases.
        cases: to try.
        seconds: after which no more are tried.
        lost: folder for the cases that are lost, None for none.
    """

    def __init__(self, name: str, folder: Path, cases: int, seconds: float, lost: Path | None) -> None:
        from fuzz_targets import TARGETS

        self.target, self.folder, self.most, self.lost = TARGETS[name], folder, cases, lost
        self.examples = self.target.examples(folder)
        for example in self.examples:  # what is imported where it is used should not count
            with suppress(NSRError):
                self.target.attempt(example, folder)
        self.outcome = Outcome(name, self.target.summary, "")
        self.began = time.process_time()
        self.until = self.began + seconds
        self.faults: dict[str, int] = {}
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, _raise_too_long)
        warnings.simplefilter("error")
        _limit_memory()

    @property
    def done(self) -> bool:
        """Whether all cases were tried, or time is up."""
        return self.outcome.cases >= self.most or time.process_time() > self.until

    def attempt(self, case: bytes) -> None:
        """Try a case; what it raises is an NSRError, or it is lost."""
        self.outcome.cases += 1
        try:
            signal.setitimer(signal.ITIMER_PROF, self.target.seconds)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE * self.target.seconds)
            try:
                self.target.attempt(case, self.folder)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.setitimer(signal.ITIMER_REAL, 0)
        except NSRError as error:
            if not str(error).strip():
                self._lose(case, error)
        except (Exception, TooLong) as error:
            self._lose(case, error)

    def _lose(self, case: bytes, error: BaseException) -> None:
        """Count a lost case, and keep one of each kind."""
        self.outcome.lost += 1
        frames = [each for each in traceback.extract_tb(error.__traceback__) if "nsr" in Path(each.filename).parts]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        kind = f"{type(error).__name__} at {where}"
        self.faults[kind] = self.faults.get(kind, 0) + 1
        if self.faults[kind] == 1 and len(self.faults) <= KEPT:
            print(f"lost: {self.outcome.target}: {kind}: {str(error)[:200]}", file=sys.stderr, flush=True)
            if self.lost is not None:
                self.lost.mkdir(parents=True, exist_ok=True)
                (self.lost / f"{self.outcome.target}-{len(self.faults) - 1}").write_bytes(case)

    def finish(self, engine: str) -> Outcome:
        """What came of it."""
        from nsr.experiment import peak_memory_mb

        self.outcome.engine = engine
        self.outcome.seconds = round(time.process_time() - self.began, 1)
        self.outcome.peak_mb = round(peak_memory_mb())
        return self.outcome


def mutate(case: bytes, others: list[bytes], words: tuple[bytes, ...], rng: random.Random) -> bytes:
    """A case with a few changes: parts deleted, doubled, exchanged, repeated, overwritten, or put in."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        start = rng.randrange(len(case) + 1)
        end = min(start + rng.choice((1, 1, 2, 8, 64)), len(case))
        before, part, behind = case[:start], case[start:end], case[end:]
        change = rng.randrange(8)
        if change == 0:
            case = before + behind
        elif change == 1:
            case = before + part * rng.choice((2, 3, 100)) + behind
        elif change == 2 and part:
            case = before + bytes([part[0] ^ 1 << rng.randrange(8)]) + part[1:] + behind
        elif change == 3:
            case = before + rng.randbytes(len(part)) + behind
        elif change == 4:
            other = rng.choice(others)
            place = rng.randrange(len(other) + 1)
            case = before + other[place : place + rng.choice((8, 64, 10**6))] + rng.choice((b"", behind))
        elif change == 5:
            case = behind + part + before if rng.random() < 0.1 else before + part[::-1] + behind
        elif words:
            case = before + rng.choice(words) * rng.choice((1, 1, 1, 2, 50)) + rng.choice((part, b"")) + behind
    return case[:LONGEST]


def by_hypothesis(name: str, seed: int, cases: int, seconds: float, lost: Path | None) -> Outcome:
    """Cases by hypothesis, in a forked process, so that the peak of its memory is its own.

    Raises:
        ConfigError: the process died.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "outcome.json"
        if not (child := os.fork()):
            status = 1
            try:
                attack = Attack(name, Path(folder), cases, seconds, lost)
                structured(attack, seed)
                attack.finish("hypothesis").write(told)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if status or not told.exists():
            raise ConfigError(f"the process that tried the cases died with status {status}")
        return Outcome.read(told)


def structured(attack: Attack, seed: int) -> None:
    """Try structured cases, and mutations of these and of valid ones."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given
    from hypothesis import strategies as st

    target, examples = attack.target, attack.examples

    @given(target.structured, st.integers(0, 2**32 - 1))
    @hypothesis.settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def some(case: bytes, number: int) -> None:
        if attack.done:
            return
        attack.attempt(case)
        rng = random.Random(number)
        others = [*examples, case]
        for _ in range(VARIANTS):
            if not attack.done:
                attack.attempt(mutate(rng.choice(others), others, target.words, rng))

    turn = 0
    while not attack.done:
        hypothesis.seed(seed + 1000 * turn)(some)()
        turn += 1


def by_atheris(name: str, seed: int, cases: int, seconds: float, lost: Path | None) -> Outcome:
    """Cases guided by coverage, in a process of their own, which libFuzzer takes over.

    Raises:
        ConfigError: atheris is not installed, or the process died.
    """
    _require_atheris()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "outcome.json"
        command = [sys.executable, __file__, name, "--engine", "atheris", "--seed", str(seed), "--cases", str(cases)]
        command += ["--seconds", str(seconds), "--outcome", str(told), *([] if lost is None else ["--lost", str(lost)])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stderr.splitlines():
            if line.startswith("lost: "):
                print(line, file=sys.stderr)
        if not told.exists():
            raise ConfigError(f"atheris died: {' '.join(done.stderr.splitlines()[-1:])}")
        return Outcome.read(told)


def guided(name: str, seed: int, cases: int, seconds: float, lost: Path | None, told: Path) -> None:
    """Let libFuzzer make the cases; it does not return."""
    atheris = _require_atheris()
    with atheris.instrument_imports(include=["nsr", "lark", "fuzz_targets"]):
        import fuzz_targets  # noqa: F401
    with tempfile.TemporaryDirectory() as folder:
        attack = Attack(name, Path(folder), cases, seconds, lost)
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, example in enumerate(attack.examples):
            (corpus / str(number)).write_bytes(example)

        def one(case: bytes) -> None:
            attack.attempt(case)
            if attack.done:
                attack.finish("atheris").write(told)
                os._exit(0)

        flags = ["-runs=-1", f"-seed={seed % 2**31 + 1}", "-max_len=4096", "-handle_alrm=0", "-rss_limit_mb=0"]
        flags += ["-timeout=100000", "-print_final_stats=0", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *flags, str(corpus)], one)
        atheris.Fuzz()


def _require_atheris():
    try:
        import atheris
    except ImportError:
        raise ConfigError("--engine atheris needs atheris, which is not installed: pip install nsr[fuzz]") from None
    return atheris


def _raise_too_long(number: int, frame: object) -> None:
    raise TooLong("out of time")


def _limit_memory() -> None:
    """Let this process have so much more address space, and no more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


class Engine(NamedTuple):
    """What makes the cases, and how its table is called."""

    run: Callable[..., Outcome]
    title: str
    report: str


ENGINES = {
    "hypothesis": Engine(by_hypothesis, "Cases of bad input", "fuzz"),
    "atheris": Engine(by_atheris, "Cases guided by coverage", "fuzz-atheris"),
}


def report(outcomes: list[Outcome], seed: int, source: str) -> tuple[str, dict[str, object]]:
    """The outcomes of a commit as Markdown and as plain data."""
    from fuzz_targets import TARGETS

    from nsr.reports.measurement import machine
    from nsr.reports.tables import markdown

    cases, lost, seconds = (sum(getattr(each, name) for each in outcomes) for name in ("cases", "lost", "seconds"))
    rows = [each.cells for each in (*outcomes, Outcome("all", "", "", cases, lost, seconds))]
    engines = ", ".join(dict.fromkeys(each.engine for each in outcomes))
    limits = ", ".join(f"{name} {TARGETS[name].seconds:g}" for name in dict.fromkeys(each.target for each in outcomes))
    host = machine()
    notes = [
        "A case survives if it ends with a result or with one error of nsr's own, and without a warning, within these",
        f"seconds of a processor: {limits}; and within {MEMORY >> 30} GB of address space beyond what it starts with.",
        "",
        f"engine {engines}; seed {seed}; commit {source}; {host['cpu']}, {host['cores']} cores, torch {host['torch']}; "
        f"{seconds:.0f} s in all",
    ]
    told = {
        "seed": seed,
        "commit": source,
        "machine": host,
        "memory": MEMORY,
        "outcomes": [asdict(each) for each in outcomes],
    }
    return markdown(ENGINES[outcomes[0].engine].title, HEADER, rows, "\n".join(notes)), told


def main(arguments: list[str] | None = None) -> int:
    """Attack the targets and print the table; returns the exit status, 1 if a case was lost."""
    sys.path.insert(0, str(Path(__file__).parent))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--cases", type=int, default=CASES, metavar="N", help=f"over all targets (default {CASES})")
    parser.add_argument("--seconds", type=float, default=1e6, metavar="X", help="at most, for each target")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--engine", choices=ENGINES, default="hypothesis")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write fuzz.md, fuzz.json and lost/ there")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one lost case, named TARGET-NUMBER")
    parser.add_argument("--outcome", type=Path, help=argparse.SUPPRESS)  # of the process that atheris takes over
    parser.add_argument("--lost", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    lost = None if given.out is None else given.out / "lost"
    try:
        if given.outcome is not None:
            guided(given.targets[0], given.seed, given.cases, given.seconds, given.lost, given.outcome)
        from fuzz_targets import TARGETS

        from nsr.files import read_given
        from nsr.reports.measurement import commit, write_outputs
        from nsr.runs import to_json

        names = given.targets or list(TARGETS)
        if given.replay is not None:
            names = [given.replay.name.partition("-")[0]]
        unknown = set(names).difference(TARGETS)
        if unknown:
            raise ConfigError(f"unknown target {min(unknown)!r}; known targets: {', '.join(TARGETS)}")
        if given.replay is not None:
            with tempfile.TemporaryDirectory() as folder:
                target = TARGETS[names[0]]
                target.examples(Path(folder))
                target.attempt(read_given(given.replay), Path(folder))
            return 0
        total = sum(TARGETS[name].share for name in names)
        source, engine, outcomes = commit(), ENGINES[given.engine], []
        for name in names:
            cases = max(1, round(given.cases * TARGETS[name].share / total))
            outcomes.append(engine.run(name, given.seed, cases, given.seconds, lost))
            print(f"{name}: {outcomes[-1].cases} cases, {outcomes[-1].lost} lost", file=sys.stderr, flush=True)
            text, told = report(outcomes, given.seed, source)
            if given.out is not None:
                write_outputs(given.out, {f"{engine.report}.md": text.encode(), f"{engine.report}.json": to_json(told)})
    except NSRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text, end="")
    return int(any(each.lost for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
