"""Scoring of symbols that have no names."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modules import module_of

import nsr
from nsr.experiment import examples_of
from nsr.recognition import Recognition, best_matching, symbol_accuracy
from nsr.reports import images
from nsr.tasks import make_task


@given(seed=st.integers(0, 10_000), symbols=st.integers(1, 5), labels=st.integers(1, 5))
def test_the_best_matching_is_that_of_brute_force(seed, symbols, labels):
    counts = np.random.default_rng(seed).integers(0, 9, (symbols, labels))
    found = best_matching(counts)
    matched = np.flatnonzero(found >= 0)
    assert len(matched) == min(symbols, labels) == len(set(found[matched].tolist()))
    size = max(symbols, labels)
    padded = np.zeros((size, size), int)
    padded[:symbols, :labels] = counts
    most = max(
        sum(padded[row, column] for row, column in enumerate(each)) for each in itertools.permutations(range(size))
    )
    assert counts[matched, found[matched]].sum() == most


def test_a_clear_matching():
    assert best_matching(np.array([[0, 9, 1], [8, 2, 0], [0, 0, 7], [1, 1, 1]])).tolist() == [1, 0, 2, -1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was told all but the parameters of its perception, which it learned from few images."""
    folder = tmp_path_factory.mktemp("images") / "run"
    given = dict.fromkeys(("perception", "syntax", "semantics"), "given")
    small = {"channels": "8 8 16 16", "image_steps": 30, "examples": 200, "tested": 100, "final": 100, "turns": 0}
    nsr.train("hint", input="images", seed=0, out=folder, **given, **small)
    model = nsr.load(folder)
    assert model.metrics["test"]["symbols"]["alone"] > 50
    return folder, model, examples_of(model).take(range(200))


@pytest.mark.slow
def test_symbols_are_right_if_the_label_that_fits_them_best_is(run):
    _, model, examples = run
    seen = Recognition.of(model, examples, model.derive(examples.inputs))
    labels = [token for sentence in examples.tokens for token in sentence]
    for read in (seen.alone, seen.read):
        named = [seen.labels[seen.label_of[symbol]] if symbol >= 0 else None for symbol in read.tolist()]
        right = [name == label for name, label in zip(named, labels, strict=True)]
        assert seen.accuracy(read) == round(100 * np.mean(right), 4)
        counts = seen.confusion(read)
        assert (counts.sum(), counts.trace()) == (len(labels), sum(right))


@pytest.mark.slow
def test_pictures_of_a_run_are_drawn(run, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    folder, model, examples = run
    script = module_of("scripts/picture_run.py")
    monkeypatch.setattr(script, "examples_of", lambda model, part: examples)
    assert script.main([str(folder), "--out", str(tmp_path / "pictures"), "--explain", "1+2*(3-4)"]) == 0
    symbols = symbol_accuracy(model, examples, model.derive(examples.inputs))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"symbols by themselves  {symbols['alone']:.2f}%",
        f"symbols read jointly   {symbols['jointly']:.2f}%",
    ]
    assert lines[2:] == [str(tmp_path / "pictures" / each) for each in ("confusion.png", "errors.png", "explained.svg")]
    for path in map(Path, lines[2:4]):
        assert path.read_bytes().startswith(b"\x89PNG")
    drawing = ElementTree.fromstring(Path(lines[4]).read_text(encoding="utf-8"))
    assert len(drawing.findall(".//{*}image")) == len("1+2*(3-4)")


@pytest.mark.slow
def test_a_row_of_images_has_the_metrics_and_what_is_read_without_context(run, monkeypatch):
    _, model, examples = run
    monkeypatch.setattr(images, "examples_of", lambda model: examples)
    variant = images.ImageVariant("drawn", False)
    row = images.ImageTable("T", (variant,)).row(variant, [0], [model])
    assert row.accuracy == (model.metrics["test"]["accuracy"],)
    assert (row.found, row.alone) == ((16,), (model.metrics["test"]["symbols"]["alone"],))
    seen = Recognition.of(model, examples, model.derive(examples.inputs))
    read = np.split(seen.alone, np.cumsum([len(each) for each in examples.tokens])[:-1])
    tokens = nsr.NSR("int", task=make_task("hint"), separators="( )", between=False).assemble(model.lexicon)
    tokens.modules.parser = model.modules.parser
    answers = tokens.predict([tuple(model.lexicon.symbols[symbol] for symbol in each) for each in read])
    right = [answer == value for answer, value in zip(answers, examples.outputs, strict=True)]
    assert row.separately == (pytest.approx(100 * np.mean(right)),)


def test_runs_without_images_have_no_such_pictures(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    script = module_of("scripts/picture_run.py")
    frozen = Path(__file__).parent / "frozen" / "scan"
    assert script.main([str(frozen), "--out", str(tmp_path / "pictures")]) == 2
    assert capsys.readouterr().err == f"error: {frozen} was not trained on images\n"
    assert not (tmp_path / "pictures").exists()
