"""What is distributed: all that nsr needs to run, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path

import pytest

from nsr import __version__

ROOT = Path(__file__).parent.parent
SOURCES = ("nsr", "grammars")  # the folders that are packaged
BESIDE = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")


def setup() -> ConfigParser:
    found = ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    return found


def sources() -> set[str]:
    """The files of the packages, by their path in the repository."""
    files = (path for top in SOURCES for path in (ROOT / top).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A source distribution of a copy of the repository, and the wheel that is built from that."""
    copy, out = tmp_path_factory.mktemp("copy") / "nsr", tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns(".*", "build", "dist", "site", "*.egg-info", "runs", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        described = message_from_string(wheel.read(metadata).decode())
    assert sorted(names) == sorted(re.sub("^grammars/", "nsr/grammars/", name) for name in sources())
    assert {"nsr/py.typed", "nsr/grammars/program.lark", "nsr/reports/published.json"} < set(names)
    for field in ("Summary", "Author", "Project-URL", "Keywords", "Requires-Python", "License-File"):
        assert described[field], field
    assert described["Version"] == __version__
    assert "MIT" in (described["License-Expression"], described["License"])
    assert described["Description-Content-Type"] == "text/markdown"


@pytest.mark.slow
def test_the_source_distribution_has_no_tests_and_no_data(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    names = {name for name in names if ".egg-info/" not in name}
    assert names == {*sources(), *BESIDE, "setup.cfg", "PKG-INFO"}


@pytest.mark.slow
def test_what_is_in_the_wheel_is_enough_to_train_and_explain(built, tmp_path):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "nsr", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("train", "scan", "--split", "length", "--max-tokens", "4", "--out", "run", "--quiet")
    assert "I_JUMP I_JUMP" in run("explain", "run", "jump twice")
    assert run("export", "run", "--out", "exported")


def test_the_licences_of_all_requirements_are_listed():
    wanted = setup()["options"]["install_requires"].split("\n")
    wanted += [line for extra in setup()["options.extras_require"].values() for line in extra.split("\n")]
    names = {re.split(r"[<>=\[]", line)[0] for line in wanted if line}
    packages, _, _ = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").partition("## Data")
    listed = re.findall(r"^\| ([a-z-]+) \|", packages, re.M)
    assert names == set(listed) - {"package"}


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.M)[1] == __version__.partition(".dev")[0]
    for field in ("cff-version: 1.2.0", "title:", "authors:", "message:"):
        assert re.search(f"^{field}", citation, re.M), field
