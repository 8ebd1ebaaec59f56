"""Train the same runs with several Pythons and compare all files that they write.

python scripts/determinism.py --quick                                     # twice with this Python: a smoke test
python scripts/determinism.py venv310/bin/python venv312/bin/python --out results    # with others that have nsr, too

The first run of each kind, by this Python, is what the others are compared with: a second one, one that is killed at
its first checkpoint and resumed, and one by each other Python. Times and memory are left out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from faults import content

from nsr.errors import RunError
from nsr.reports.measurement import commit, machine, write_outputs
from nsr.reports.tables import markdown
from nsr.runs import to_json

RUNS = {
    "SCAN, length": ["scan", "--split", "length"],
    "SCAN, simple, Metropolis-Hastings": ["scan", "--search", "mh", "--examples", "2000"],
    "PCFG SET": ["pcfg", "--examples", "4000"],
    "HINT": ["hint", "--examples", "10000", "--max-tokens", "9", "--tested", "2000"],
}
QUICK = ("SCAN, length",)
RESUMED = "killed and resumed"
VERSIONS = (
    "import json, sys, numpy, torch; print(json.dumps([sys.version.split()[0], torch.__version__, numpy.__version__]))"
)


def train(python: str, task: Sequence[str], folder: Path, *, kill: bool = False) -> dict[str, object]:
    """Train in a process, killed once and resumed if so wished; what is in the folder, see :func:`faults.content`.

    Raises:
        RunError: the training failed.
    """
    command = [python, "-m", "nsr", "train", *task, "--out", str(folder), "--quiet"]
    if kill:
        command += ["--resume", "--checkpoint-seconds", "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not (folder / "checkpoint").is_dir():
                time.sleep(0.01)
            process.kill()
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise RunError(f"{python}: {ended.stderr.strip()}")
    return content(folder)


def difference(found: dict[str, object], expected: dict[str, object]) -> str:
    """Which files are not the same, in a word."""
    names = [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]
    return f"not {', '.join(names)}" if names else "same"


def main(arguments: list[str] | None = None) -> int:
    """Compare; returns the exit status, 1 if this Python's own runs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", help="other interpreters in which nsr is installed")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write determinism.md and determinism.json there")
    given = parser.parse_args(arguments)
    runs = {name: RUNS[name] for name in QUICK} if given.quick else RUNS
    cases = [("first run", sys.executable), ("again", sys.executable), (RESUMED, sys.executable)]
    cases += [("another Python", python) for python in given.pythons]
    about = {"commit": commit(), "machine": machine()}
    expected: dict[str, dict[str, object]] = {}
    rows = []
    try:
        with tempfile.TemporaryDirectory(prefix="nsr-determinism-") as folder:
            for number, (case, python) in enumerate(cases):
                versions = subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True, check=True).stdout
                found = {
                    name: train(python, task, Path(folder) / f"{number}" / name, kill=case == RESUMED)
                    for name, task in runs.items()
                }
                expected = expected or found
                differences = {name: difference(each, expected[name]) for name, each in found.items()}
                rows.append({"case": case, "versions": json.loads(versions), "compared": differences})
                print(f"{case}, {versions.strip()}: {differences}", file=sys.stderr)
    except (OSError, subprocess.CalledProcessError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    cells = [(row["case"], *row["versions"], *row["compared"].values()) for row in rows]
    footer = f"commit {about['commit']}; {about['machine']['cpu']}, {about['machine']['cores']} cores"
    text = markdown("The same seed", ("", "Python", "torch", "numpy", *runs), cells, footer)
    print(text, end="")
    if given.out is not None:
        files = {"determinism.md": text.encode(), "determinism.json": to_json({**about, "rows": rows})}
        write_outputs(given.out, files)
    own = [row for row, (_, python) in zip(rows, cases, strict=True) if python == sys.executable]
    return int(any(each != "same" for row in own for each in row["compared"].values()))


if __name__ == "__main__":
    sys.exit(main())
