"""The README and the docs say what is true: their Python runs, their commands print what they show, their links lead
somewhere.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from nsr.cli.main import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TRAIN = "nsr train scan --split length --out runs/scan"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the run that the pages talk about."""
    folder = tmp_path_factory.mktemp("workplace")
    with contextlib.chdir(folder) if hasattr(contextlib, "chdir") else pytest.MonkeyPatch.context() as patch:
        if patch is not None:
            patch.chdir(folder)
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(shlex.split(TRAIN)[1:]) == 0
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    scope: dict[str, object] = {}
    for block in blocks(page, "python"):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block, page.name, "exec"), scope)
        shown = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
        for line in shown:
            assert line in printed.getvalue(), f"{page.name} shows {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_print_what_is_shown(page, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    for block in blocks(page, "console"):
        for command, shown in re.findall(r"^\$ (nsr .*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            arguments = shlex.split(command)[1:]
            if arguments[0] == "train":
                arguments[arguments.index("--out") + 1] += "-again"
            main(arguments)
            captured = capsys.readouterr()
            assert mask(captured.out + captured.err) == mask(shown), command


def mask(text: str) -> str:
    """Text without what differs from run to run: seconds and folders."""
    return re.sub(r"(seconds +)[\d.]+|(folder +)\S+", r"\1\2-", text).strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_ci_runs_the_command_of_the_readme():
    command = re.findall(r"^python3 -m venv .*pytest.*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert len(command) == 1
    assert "sed -n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
