"""Tables say what was run, beside what was published; how good the figures are is tested elsewhere."""

import importlib.util
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nsr.errors import ConfigError, ExportError, RunError
from nsr.reports import export as export_report
from nsr.reports import reproduction
from nsr.reports.compositionality import DeepRow, DeepTable, Measure, TestRow, TestsTable
from nsr.reports.export import ExportTable
from nsr.reports.images import ImageRow, ImageTable, ImageVariant
from nsr.reports.reproduction import TABLES, reproduce
from nsr.reports.tables import AccuracyTable, Outcome, Variant, markdown, span
from nsr.tasks import TASKS, make_task

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "reproduce_tables.py"
OUTCOME = Outcome(
    Variant("half", "length", {"fraction": 0.5}),
    "the authors' files",
    (0, 1),
    (100.0, 50.0),
    (100.0, 90.0),
    3920,
    (8495, 8495),
    (414, 1000),
    (13, 13),
    (1.0, 2.0),
    {"word_order": "projective"},
)


def cells(text: str, row: int) -> dict[str, str]:
    """A row of a Markdown table, by heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return dict(zip(header, rows[row], strict=True))


def test_accuracies_stand_beside_the_worst_seed_and_what_was_published() -> None:
    table = AccuracyTable("scan", "Halves", (OUTCOME.variant,), {"RNN": {"length": "13.8"}}, "Source.")
    text = table.to_markdown([OUTCOME])
    assert text.startswith("### Halves\n")
    assert text.endswith("\nSource.\n")
    assert cells(text, 0) == {
        "": "half",
        "data": "official",
        "test": "3,920",
        "seeds": "2",
        "accuracy, mean": "75.00",
        "worst": "50.00",
        "answered": "95.00",
        "programs": "13",
        "examples": "8,495",
        "learned from": "414-1,000",
        "seconds": "1.5",
        "RNN": "13.8",
    }


def test_first_cell_of_the_header_may_be_empty() -> None:
    assert markdown("T", ("", "a"), [("x", "1")]) == "### T\n\n| | a |\n|---|---|\n| x | 1 |\n"


@pytest.mark.parametrize(
    ("numbers", "digits", "shown"), [((1, 1), 0, "1"), ((2000, 1), 0, "1-2,000"), ((1, 2.5), 1, "1.0-2.5")]
)
def test_span(numbers: tuple[float, ...], digits: int, shown: str) -> None:
    assert span(numbers, digits) == shown


def test_variants_are_splits_and_settings_that_exist() -> None:
    for table in TABLES.values():
        if isinstance(table, AccuracyTable):
            assert {each.split for each in table.variants} <= set(TASKS[table.task].splits)
            assert all(set(column) <= set(TASKS[table.task].splits) for column in table.published.values())
    for each in TABLES["pcfg-tests"].measures:
        assert each.variant.split in TASKS["pcfg"].splits
        make_task("pcfg", **each.variant.settings)
        assert each.test is None or each.test in TASKS["pcfg"].tests


def test_every_test_of_the_task_is_in_its_table() -> None:
    assert {each.test for each in TABLES["pcfg-tests"].measures} - {None} == set(TASKS["pcfg"].tests)


def test_table_is_kept_with_its_provenance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = AccuracyTable("scan", "Short", (Variant("at most 2", "length", {"max_tokens": 2}),))
    monkeypatch.setitem(reproduction.TABLES, "short", table)
    text = reproduce("short", range(1), out=tmp_path / "new")
    assert (tmp_path / "new" / "short.md").read_text() == text
    data = json.loads((tmp_path / "new" / "short.json").read_text())
    assert data.keys() >= {"table", "commit", "machine", "seconds", "rows"}
    assert data["rows"][0]["assumptions"]["word_order"] == "projective"
    assert data["rows"][0]["examples"] == [int(cells(text, 0)["examples"].replace(",", ""))]
    assert "seeds 0-0; commit" in text
    with pytest.raises(RunError, match="cannot be written"):
        reproduce("short", range(1), out=tmp_path / "new" / "short.md")


def test_splits_without_official_files_are_generated(tmp_path: Path) -> None:
    table = AccuracyTable("scan", "T", (Variant("x", "length", {"max_tokens": 1}),))
    assert "generated" in table.measure([0], tmp_path)[0].data


def test_tests_stand_beside_published_figures() -> None:
    measure = Measure("localism", Variant("base", "pcfgset"), "localism", ("46 ± 0", "59 ± 1", "54 ± 2"))
    further = ({"right": 100.0}, {"right": 50.0, "rare": 1.0})
    row = TestRow(
        measure, "the authors' files", (0, 1), (7779, 7779), (10, 20), (100.0, 80.0), further, *[(1.0, 3.0)] * 2, {}
    )
    found = cells(TestsTable("T").to_markdown([row]), 0)
    assert found["nsr, mean"] == "90.00"
    assert found["lowest-highest"] == "80.00-100.00"
    assert found["Transformer"] == "54 ± 2"
    assert found["further figures of nsr"] == "right 75.00, rare 1.00"


def test_time_per_token_is_compared_with_the_first_row() -> None:
    rows = [DeepRow(50, 10, (0,), (100.0,), (100.0,), (1.0,)), DeepRow(100, 10, (0,), (200.0,), (90.0,), (3.0,))]
    assert rows[0].per_token == pytest.approx(1000)
    found = cells(DeepTable("T").to_markdown(rows), 1)
    assert (found["microseconds a token"], found["ratio to the first row"]) == ("1500.0", "1.50")
    assert asdict(rows[0])["functions"] == 50


@pytest.mark.slow
def test_deep_inputs_are_answered() -> None:
    table = replace(DeepTable("T"), functions=(3, 40), count=4, repeats=1)
    assert [row.accuracy for row in table.measure([0], None)] == [(100.0,), (100.0,)]


def test_script_needs_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("reproduce_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with pytest.raises(SystemExit):
        script.main(["scan", "--seeds", "0"])
    assert "--seeds must be at least 1" in capsys.readouterr().err


def test_images_are_read_alone_jointly_and_by_subset() -> None:
    variant = ImageVariant("unseen writers", True)
    subsets = tuple(dict.fromkeys(("I", "SS", "LS", "SL", "LL"), share) for share in (90.0, 92.0))
    row = ImageRow(
        variant, (0, 1), (91.0, 93.0), (70.0, 72.0), subsets, (98.0, 98.5), (99.0, 99.5), (16, 16), (300, 310), {}
    )
    table = ImageTable("Images", (variant,), {"NSR paper": ("", "", "", "", "", "76.0")}, "Note.")
    text = table.to_markdown([row])
    assert text.endswith("\nNote.\n")
    assert cells(text, 0) == {
        "": "unseen writers",
        **dict.fromkeys(("I", "SS", "LS", "SL", "LL"), "91.00"),
        "all": "92.00",
        "seeds: worst-best": "91.00-93.00",
        "each image by itself": "71.00",
        "symbols alone": "98.25",
        "jointly": "99.25",
        "symbols found": "16",
        "seeds": "2",
        "seconds": "300-310",
    }
    assert cells(text, 1)["all"] == "76.0"
    assert variant.folder(1).name == "unseen-writers-1"


def test_a_table_of_handwriting_needs_its_folder() -> None:
    with pytest.raises(ConfigError, match=r"needs hint/handwriting\.npz; name its folder by --data-dir"):
        TABLES["hint-images"].measure([0], None)


def test_exported_models_are_compared_with_the_models(monkeypatch):
    table = ExportTable("Exports", (("scan", Variant("length", "length")),), (("scan", Variant("more", "simple")),))
    (row,) = table.measure([0], None)
    assert row.refusals == {}
    assert cells(table.to_markdown([row]), 0) | {
        "": "SCAN, length",
        "data": "generated",
        "exported": "1 of 1",
        "test sentences": "3,920",
    } == cells(table.to_markdown([row]), 0)
    assert row.trained[0] > 9_000
    assert row.script_speed[0] > 0

    def refuse(model):
        raise ExportError("it leaves a choice")

    monkeypatch.setattr(export_report, "_exported", refuse)
    (row,) = table.measure([1], None)
    assert row.refusals == {"1": "it leaves a choice"}
    assert cells(table.to_markdown([row]), 0)["exported"] == "0 of 1"
