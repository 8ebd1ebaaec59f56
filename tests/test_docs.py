"""The README and the docs say what is true: their Python runs, their commands print what they show, their pictures of
trees are those drawn, their links lead somewhere. And they make a site.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nsr.cli import data
from nsr.cli.main import COMMANDS, main
from nsr.reports.reproduction import TABLES
from nsr.tasks.hint import SUBSETS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
RUNS = {  # those that the pages talk about
    "runs/scan": "nsr train scan --split length --out runs/scan",
    "runs/pcfg": "nsr train pcfg --fraction 0.1 --out runs/pcfg",
    "runs/hint": "nsr train hint --out runs/hint",
}
READ = [  # a page that needs a long training is read only when all tests are run
    pytest.param(
        page,
        id=page.name,
        marks=[pytest.mark.slow] if re.search("runs/(pcfg|hint|numbers)", page.read_text(encoding="utf-8")) else [],
    )
    for page in PAGES
]
printed: dict[str, str] = {}  # what training each run printed


def blocks(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page, each with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder where the runs are made."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture
def page(request, workplace, monkeypatch, own_primitives, own_tasks):
    """A page; the runs that it talks about are in the working folder."""
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("COLUMNS", "100")
    text = request.param.read_text(encoding="utf-8")
    for folder, command in RUNS.items():
        if folder in text and not Path(folder).exists():
            with contextlib.redirect_stdout(io.StringIO()) as output:
                assert main(shlex.split(command)[1:]) == 0
            printed[command] = output.getvalue()
    return request.param


@pytest.mark.parametrize("page", READ, indirect=True)
def test_a_page_is_true_from_top_to_bottom(page, own_primitives, capsys):
    """Its Python runs, its commands print what they show (on files that its Python wrote).

    Its lexicons are learned, its grammars exported, and the pictures of trees that it draws are in ``docs/pictures``.
    """
    scope: dict[str, object] = {}
    for language, block in blocks(page):
        if language == "python":
            exec(compile(block, page.name, "exec", dont_inherit=True), scope)
            output = capsys.readouterr().out
            for line in block.splitlines():
                assert not line.startswith("# ") or line.removeprefix("# ") in output, f"{page.name} shows {line!r}"
        elif language == "console":
            for command, shown in re.findall(r"^\$ (nsr .*)\n((?:(?!\$ ).*\n)*)", block, re.M):
                if command not in printed:
                    main(shlex.split(command)[1:])
                    captured = capsys.readouterr()
                found = printed.get(command) or captured.err + captured.out  # what is told before training is first
                assert mask(found) == mask(shown), command
        elif language == "lexicon":
            assert block in [file.read_text(encoding="utf-8") for file in Path("runs").glob("*/lexicon.nsr")]
        elif language == "lark":
            assert any(block in file.read_text(encoding="utf-8") for file in Path().glob("*/grammar.lark"))
    for picture in Path().glob("*.svg"):
        assert picture.read_bytes() == (ROOT / "docs" / "pictures" / picture.name).read_bytes(), f"copy {picture} there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_take_too_long_for_a_test_can_be_read(page, monkeypatch, capsys):
    for module in COMMANDS.values():
        monkeypatch.setattr(module, "run", lambda arguments: None, raising=False)
    for name, command in data.COMMANDS.items():
        monkeypatch.setitem(data.COMMANDS, name, command._replace(run=lambda arguments: None))
    for language, block in blocks(page):
        if language == "sh":
            for command in re.findall(r"^nsr (.*)", block, re.M):
                assert main(shlex.split(command, comments=True)) == 0, f"{command}: {capsys.readouterr().err}"


def test_all_tables_are_listed():
    listed = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "tables.md").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == sorted(TABLES)


def test_tables_in_the_pages_have_results():
    titles = {table.title: name for name, table in TABLES.items()}
    for page in PAGES:
        for title in re.findall(r"^### (.*)$", page.read_text(encoding="utf-8"), re.M):
            if title in titles:
                assert (ROOT / "results" / f"{titles[title]}.md").is_file(), f"{page.name}: {title}"


@pytest.mark.parametrize("results", sorted((ROOT / "results").glob("*.md")), ids=lambda results: results.name)
def test_tables_are_those_of_the_results(results):
    pages = {
        "paper": "tables",
        "properties": "method",
        "peers": "baselines",
        "faults": "trust",
        "determinism": "trust",
        "fuzz": "trust",
        **{name: name for name in ("export", "images", "pcfg", "hint", "baselines")},
    }
    page = ROOT / "docs" / f"{next((pages[name] for name in pages if name in results.stem), 'scan')}.md"
    text = re.sub(r"^# .*\n\n", "", results.read_text(encoding="utf-8")).replace("\n## ", "\n### ")
    assert text.strip() in page.read_text(encoding="utf-8"), f"{page.name} has another table than {results.name}"


def test_figures_of_the_readme_are_those_of_the_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {cells[0]: cells[1:] for cells in (line.strip("| ").split(" | ") for line in text.splitlines())}

    def rows(name: str) -> dict[str, dict]:
        content = json.loads((ROOT / "results" / f"{name}.json").read_bytes())["rows"]
        return {row["label"] if "label" in row else row["variant"]["label"]: row for row in content}

    def mean(values: list[float]) -> str:
        return f"{sum(values) / len(values):.2f}"

    for name, splits in (
        ("scan-splits", ("simple", "length", "addprim_jump", "template_around_right")),
        ("pcfg-splits", ("pcfgset", "systematicity", "productivity")),
    ):
        measured = rows(name)
        for split in splits:
            accuracy = measured[split]["accuracy"]
            assert found[split][:2] == [mean(accuracy), f"{min(accuracy):.2f}"], split
    for label, name, row in (
        ("nsr, mean", "hint-symbols", "nsr"),
        ("nsr, parentheses not declared, mean", "hint-symbols", "nsr, parentheses not declared"),
        ("nsr, split at random, mean", "hint-images", "handwriting, split at random"),
        ("nsr, unseen writers, mean", "hint-images", "handwriting, unseen writers"),
    ):
        measured = rows(name)[row]
        subsets = [mean([each[subset] for each in measured["subsets"]]) for subset in SUBSETS]
        assert found[label] == [*subsets, mean(measured["accuracy"])], label


def mask(text: str) -> str:
    """Text without what differs from run to run or machine to machine.

    That is seconds, speeds, folders, log-probabilities and, as sums differ in their last digits, how many examples were
    learned from.
    """
    text = re.sub(r"\d+ learned from", "- learned from", text)
    text = re.sub(r"\d+ (sentences a second by run.py, )\d+", r"- \1-", text)
    return re.sub(r"(seconds +)[\d.]+|(folder +)\S+|(log-probability +)\S+", r"\1\2\3-", text).strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_ci_runs_the_command_of_the_readme():
    wanted = re.findall(r"^python3 -m venv .*pytest.*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    (taken,) = re.findall(r"\$\((sed -n .*)\)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M)
    found = subprocess.run(shlex.split(taken), cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(wanted) == 1
    assert found.stdout.splitlines() == wanted


class Loaded(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag in ("img", "link", "script", "iframe", "source"):
            self.addresses += [value for name, value in attributes if name in ("src", "href") and value]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs mkdocs: pip install nsr[docs]")
def test_the_pages_make_a_site_without_warnings(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    made = {page.stem: page.read_text(encoding="utf-8") for page in tmp_path.glob("*.html")}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} < made.keys()
    for name, page in made.items():
        assert not [each for each in Loaded(page).addresses if re.match("(https?:)?//", each)], f"{name} loads these"
    assert not re.search(":(class|func|meth|data|mod|attr):|``", made["api"])  # as in docstrings
    for name in ("train", "load", "evaluate", "NSR.predict", "GSS.pretty", "Task.load", "register_primitives"):
        assert f'id="nsr.{name}"' in made["api"]
