"""Runs that an earlier state of this version wrote are read, and answer as they did; see ``tests/frozen/make.py``."""

from __future__ import annotations

import json

import pytest
from modules import module_of

from nsr.runs import FORMAT, MANIFEST

make = module_of("tests/frozen/make.py")
ADVICE = "see 'Run folders' in CONTRIBUTING.md"


@pytest.fixture(params=make.RUNS)
def name(request, monkeypatch) -> str:
    """A frozen run; its data files are named from the folder it is in."""
    monkeypatch.chdir(make.HERE)
    return request.param


def test_a_frozen_run_has_the_format_of_this_version(name):
    manifest = json.loads((make.HERE / name / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["format"] == FORMAT, ADVICE


def test_a_frozen_run_answers_as_it_did(name):
    expected = json.loads(make.EXPECTED.read_text(encoding="utf-8"))[name]
    found = make.observe(name)
    assert found.keys() == expected.keys()
    for what in expected:
        assert found[what] == expected[what], f"{what}: {ADVICE}"
    assert expected["metrics"] == expected["evaluated"]
    assert None not in found["predicted"]
