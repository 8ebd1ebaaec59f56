"""Tables say what was run, beside what was published; how good the figures are is tested elsewhere."""

import itertools
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nsr.errors import ConfigError, ExportError
from nsr.reports import compositionality, properties, published
from nsr.reports import export as export_report
from nsr.reports.compositionality import DeepRow, DeepTable, Measure, TestRow, TestsTable
from nsr.reports.export import ExportRow, ExportTable
from nsr.reports.hint import ConceptRow, ConceptTable, FewShotTable, LongTable, SubsetTable
from nsr.reports.images import ImageRow, ImageTable, ImageVariant, handwriting
from nsr.reports.paper import PaperTable, Result
from nsr.reports.pool import Runs
from nsr.reports.properties import PropertyTable
from nsr.reports.records import records
from nsr.reports.reproduction import APART, GROUPS, TABLES, tables_of
from nsr.reports.table_plots import CAPTIONS, OF_ROWS, OF_RUNS, PLOTS
from nsr.reports.tables import AccuracyTable, Failed, Outcome, RunTable, TaskVariant, Variant, markdown, span
from nsr.reports.trainings import Training, _sha256, trainings_of
from nsr.tasks import TASKS, Examples, make_task
from nsr.tasks.expressions import CONCEPTS, OPERATORS

ROOT = Path(__file__).resolve().parents[1]
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


def measured(table: RunTable, runs: Runs, data_dir: Path | None = None) -> list:
    """The rows of a table, with seed 0, after its runs are trained."""
    runs.complete(each for row in table.trainings([0], data_dir).values() for each in row)
    return table.measure([0], data_dir, runs)


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


def test_a_published_result_stands_beside_the_mean_of_each_seed() -> None:
    result = Result("HINT, LL", TABLES["hint-symbols"], "nsr", "hint", "LL", "LL")
    table = PaperTable("Paper", (result,))
    models = [
        SimpleNamespace(
            seed=seed,
            metrics={"test": {"accuracy": 1.0, "subsets": {"LL": accuracy}}, "seconds": {"total": 10.0 * accuracy}},
        )
        for seed, accuracy in ((0, 90.0), (1, 98.0), (0, 100.0), (1, 100.0))
    ]
    row = table.row(result, [0, 1], models)
    assert row.accuracy == (95.0, 99.0)
    assert cells(table.to_markdown([row]), 0) == {
        "": "HINT, LL",
        "nsr, mean": "97.00",
        "deviation": "2.83",
        "worst seed": "95.00",
        "seeds": "2",
        "seconds a run": "970.0",
        "NSR paper": "",
        "others, as published": "Transformer rel. uni. 22.4, LSTM 24.3, GRU 15.1",
    }


def test_every_published_figure_of_the_nsr_is_in_the_table_of_published_results() -> None:
    table = TABLES["paper"]
    model = SimpleNamespace(seed=0, metrics={"test": {"accuracy": 1.0, "subsets": {}}, "seconds": {"total": 1.0}})
    shown = {(each.benchmark, table.row(replace(each, subset=""), [0], [model]).paper) for each in table.variants}
    wanted = {
        (each.benchmark, figure)
        for each in published.all_published()
        if each.system.endswith("NSR paper")
        for figure in each.values.values()
    }
    assert wanted == {(benchmark, figure) for benchmark, figure in shown if figure}
    assert all(each.case in each.table.cases for each in table.variants)


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
            assert all(set(column) & set(TASKS[table.task].splits) for column in table.published.values())
    for each in TABLES["pcfg-tests"].measures:
        assert each.variant.split in TASKS["pcfg"].splits
        make_task("pcfg", **each.variant.settings)
        assert each.test is None or each.test in TASKS["pcfg"].tests


def test_every_test_of_the_task_is_in_its_table() -> None:
    assert {each.test for each in TABLES["pcfg-tests"].measures} - {None} == set(TASKS["pcfg"].tests)


def test_rows_have_different_labels_and_settings_that_exist() -> None:
    for name, table in TABLES.items():
        cases = getattr(table, "cases", {})
        assert len(cases) == len(getattr(table, "variants", cases)), name
        found = table.trainings([0], ROOT)
        needing_files = {label for label, case in cases.items() if getattr(case, "official", False)}
        assert found.keys() == cases.keys() - needing_files, name
        assert all(each.name for row in found.values() for each in row)  # so they are settings


def test_every_table_is_in_a_group_and_no_name_is_taken_twice() -> None:
    assert {name for group, names in GROUPS.items() if group != "all" for name in names} == set(TABLES)
    assert set(GROUPS["all"]) == set(TABLES).difference(*APART.values())
    assert not GROUPS.keys() & TABLES.keys()
    assert PLOTS.keys() <= TABLES.keys()
    assert {what for plots in PLOTS.values() for what in plots} == CAPTIONS.keys() == OF_ROWS.keys() | OF_RUNS.keys()
    assert tables_of(["few-shot", "scan-raw", "scan"]) == [
        "hint-few-shot",
        "scan-raw",
        "scan-splits",
        "scan-size",
        "scan-swap",
    ]


def test_a_table_that_fails_says_why_in_its_row() -> None:
    table = AccuracyTable("scan", "Halves", (OUTCOME.variant,))
    text = table.to_markdown([OUTCOME, Failed("bad", "seed 1: no | space")])
    assert cells(text, 1)["data"] == "failed: seed 1: no / space"
    assert set(cells(text, 1)) == set(cells(text, 0))


def test_splits_without_official_files_are_generated(tmp_path: Path) -> None:
    assert [each.data_dir for each in trainings_of("scan", "length", [0, 1], {}, tmp_path)] == [None, None]


def test_official_files_are_read_if_there_are_any(data_dir: Path) -> None:
    (found,) = trainings_of("scan", "length", [0], {}, data_dir)
    assert found.data_dir == str(data_dir)
    (generated,) = trainings_of("scan", "template_right", [0], {}, data_dir)
    assert generated.data_dir is None


def test_every_published_figure_has_a_source() -> None:
    for each in published.all_published():
        assert each.benchmark in TASKS or each.benchmark in TABLES
        assert each.authors
        assert each.where
        assert 2015 < each.year < 2100
        assert each.url.startswith("https://")
        assert each.values
        assert all(isinstance(value, str) and value for value in each.values.values())
    names = [(each.benchmark, each.system) for each in published.all_published()]
    assert len(set(names)) == len(names)


def test_no_published_figure_is_in_the_code() -> None:
    figures = {
        value for each in published.all_published() for value in each.values.values() if "." in value or "±" in value
    }
    for path in (ROOT / "nsr" / "reports").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [figure for figure in figures if f'"{figure}"' in text], path.name


def test_figures_of_scan_in_the_readme_are_those_published() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| split | nsr, mean | nsr, worst seed | NSR paper | RNN") :]
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n\n")[0].splitlines()
    ]
    found = published.columns("scan")
    for cells_of_row in rows:
        row = dict(zip(header, cells_of_row, strict=True))
        assert all(row[system] == values.get(row["split"], "") for system, values in found.items()), row


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


def test_a_test_is_measured_or_is_the_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    test = {"accuracy": 90.0, "count": 7}
    metrics = {"assumptions": {"data": "d"}, "train": {"used": 5}, "test": test, "seconds": {"total": 2.0}}
    models = [SimpleNamespace(metrics=metrics)] * 2
    monkeypatch.setattr(compositionality, "examine", lambda model, test: {"value": 80.0, "count": 3, "right": 60.0})
    base = Variant("base", "pcfgset")
    for name, value, count in (("localism", 80.0, 3), (None, 90.0, 7)):
        row = TestsTable("T").row(Measure("row", base, name, ("", "", "")), [0, 1], models)
        assert (row.value, row.cases, row.accuracy, row.examples) == ((value,) * 2, (count,) * 2, (90.0,) * 2, (5,) * 2)


def test_time_per_token_is_compared_with_the_first_row() -> None:
    rows = [DeepRow(50, 10, (0,), (100.0,), (100.0,), (1.0,)), DeepRow(100, 10, (0,), (200.0,), (90.0,), (3.0,))]
    assert rows[0].per_token == pytest.approx(1000)
    found = cells(DeepTable("T").to_markdown(rows), 1)
    assert (found["microseconds a token"], found["ratio to the first row"]) == ("1500.0", "1.50")
    assert asdict(rows[0])["functions"] == 50


@pytest.mark.slow
def test_deep_inputs_are_answered(tmp_path: Path) -> None:
    table = replace(DeepTable("T"), functions=(3, 40), count=4, repeats=1)
    assert [row.accuracy for row in measured(table, Runs(tmp_path))] == [(100.0,), (100.0,)]


def test_programs_of_operators_are_induced_with_and_without_a_library(tmp_path: Path) -> None:
    table = ConceptTable("Operators", counts=(50,), noise=(0.0,))
    rows = {(row.name, row.library): row for row in table.measure([0], None, Runs(tmp_path))}
    assert rows.keys() == set(itertools.product(OPERATORS, (True, False)))
    assert all(rows[name, True].found == {50: 100.0} for name in "+-*")
    text = table.to_markdown(list(rows.values()))
    assert cells(text, 0).keys() >= {"library", "wrong examples", "50 examples", "seconds", "program"}
    assert cells(text, 0)["50 examples"] == "100"


@pytest.mark.slow
def test_tables_of_hint_share_the_run_they_are_about(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    [subsets] = measured(SubsetTable("T", {"default": {}}), runs)
    assert (subsets.accuracy, subsets.seeds) == ((100.0,), (0,))
    assert set(subsets.subsets[0].values()) == {100.0}
    assert cells(SubsetTable("T", {}).to_markdown([subsets]), 0)["worst"] == "100.00"
    [long] = measured(table := LongTable("T", operators=(30,), count=5), runs)
    assert (long.accuracy, long.largest > 100) == ((100.0,), True)
    assert cells(table.to_markdown([long]), 0)["accuracy, mean"] == "100.00"
    [concepts] = measured(shots := FewShotTable("T", shots=(30,), every=2000), runs)
    assert concepts.accuracy.keys() == concepts.kept.keys() == set(CONCEPTS)
    assert {name: runs for name, runs in concepts.kept.items() if runs != (100.0,)} == {}
    assert concepts.accuracy["x"][0] > 90
    text = shots.to_markdown([concepts])
    assert cells(text, 0)["examples, at most"] == "30"
    assert f"x `{concepts.programs['x']}`" in text
    assert len(list(tmp_path.glob("hint-*"))) == 1 + len(CONCEPTS)


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


def test_a_row_of_handwriting_needs_its_folder(tmp_path: Path) -> None:
    table = TABLES["hint-images"]
    assert table.trainings([0], None) == {}
    rows = table.measure([0], None, Runs(tmp_path))
    assert {row.failed for row in rows} == {
        "needs hint/handwriting.npz or hint/symbol_images; name their folder by --data-dir"
    }


def test_handwriting_is_the_file_else_the_official_release(tmp_path: Path) -> None:
    folder = tmp_path / "hint"
    assert handwriting(tmp_path) == str(folder / "handwriting.npz")
    (folder / "symbol_images" / "+").mkdir(parents=True)
    image = folder / "symbol_images" / "+" / "1.jpg"
    image.write_bytes(b"1")
    assert handwriting(tmp_path) == str(folder)
    training = Training("hint", "hint", 0, {"input": "images", "symbols": str(folder)})
    before = training.files
    assert before.keys() == {f"{tmp_path.name}/hint"}
    image.write_bytes(b"12")
    _sha256.cache_clear()  # as of another process
    assert replace(training).files != before
    (folder / "handwriting.npz").touch()
    assert handwriting(tmp_path) == str(folder / "handwriting.npz")


def test_exported_models_are_compared_with_the_models(monkeypatch, tmp_path):
    rows = (
        TaskVariant("SCAN, length", "scan", Variant("length", "length")),
        TaskVariant("SCAN, more, official", "scan", Variant("more", "simple"), official=True),
    )
    table = ExportTable("Exports", rows)
    runs = Runs(tmp_path)
    row, official = measured(table, runs, tmp_path)  # there are no files in it
    assert official.failed == "needs the official files; name their folder by --data-dir"
    assert row.refusals == (None,)
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
    row, _ = measured(table, runs)
    assert row.refusals == ("it leaves a choice",)
    assert cells(table.to_markdown([row]), 0)["exported"] == "0 of 1"


def test_a_record_has_what_is_of_its_seed():
    row = ExportRow("row", "generated", (0, 1), 10, (None, 5), (None, 2.0), (None, 1.0), ("a choice", None), {})
    first, second = records([row], {}, None)
    assert (first["trained"], first["script_speed"], first["refusals"]) == (None, None, "a choice")
    assert (second["trained"], second["script_speed"], second["refusals"]) == (5, 2.0, None)
    assert cells(ExportTable("T", ()).to_markdown([row]), 0)["exported"] == "1 of 2"
    figures = {"two": (1.0, 2.0)}
    first, second = records([ConceptRow(10, (0, 1), figures, figures, figures, {"two": "(inc x0)"})], {}, None)
    assert (first["accuracy two"], second["accuracy two"]) == (1.0, 2.0)
    assert first["programs two"] == "(inc x0)"
    assert "programs two" not in second


PROPERTIES = PropertyTable("T", (TaskVariant("tiny", "scan", Variant("tiny", "simple", {"max_tokens": 2})),), count=5)


@pytest.fixture
def small(monkeypatch):
    """Models with a seed and nothing else, each of which has test inputs of its own."""
    seen = []

    def inputs(model):
        seen.append(model)
        return Examples((("walk",),) * 7, (("WALK",),) * 7)

    monkeypatch.setattr(properties, "examples_of", inputs)
    grammar = SimpleNamespace(kinds=lambda: [0, 0])
    parser, perception = SimpleNamespace(learned_grammar=grammar), SimpleNamespace(symbols=["run", "walk"])
    models = [SimpleNamespace(modules=SimpleNamespace(parser=parser, perception=perception)) for _ in range(2)]
    monkeypatch.setattr(properties, "swap_matrix", lambda model, examples: (("run", "walk"), np.ones((2, 2))))
    monkeypatch.setattr(properties, "recursiveness", lambda model, inputs: 1.0)
    return models, seen


def test_properties_of_a_model_are_measured_on_its_own_inputs(small):
    models, seen = small
    row = PROPERTIES.row(PROPERTIES.variants[0], range(2), models)
    assert seen == models
    assert (row.inputs, row.swaps, row.recursiveness) == ((4, 4), (2, 2), (1.0, 1.0))
    shown = cells(PROPERTIES.to_markdown([row]), 0)
    assert (shown["test inputs"], shown["exchanges"], shown["parts worth the same alone"]) == ("4", "2", "100.00")


def test_properties_that_cannot_be_measured_are_errors(small, monkeypatch):
    monkeypatch.setattr(properties, "recursiveness", lambda model, inputs: float("nan"))
    with pytest.raises(ConfigError, match="seed 0: no test input that is answered has a part"):
        PROPERTIES.row(PROPERTIES.variants[0], range(2), small[0])
    monkeypatch.setattr(properties, "swap_matrix", lambda model, examples: (("run", "walk"), np.full((2, 2), np.nan)))
    with pytest.raises(ConfigError, match="seed 0: no two words of the test inputs share a class"):
        PROPERTIES.row(PROPERTIES.variants[0], range(2), small[0])


def test_properties_are_measured_on_official_files_if_there_are_any(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("nsr.reports.properties.variant_runs", lambda *arguments: asked.append(arguments) or [])
    PROPERTIES.trainings([0], tmp_path)
    assert asked[0][-1] == tmp_path
    assert next(each for each in TABLES["properties"].variants if each.task == "hint").variant.generated


def test_a_defect_is_a_row_and_the_others_go_on(monkeypatch):
    def broken(case, seeds, models):
        raise ValueError("no\nmean")

    table = AccuracyTable("scan", "T", (OUTCOME.variant,))
    monkeypatch.setattr(AccuracyTable, "runs_of", lambda *arguments: [])
    monkeypatch.setattr(AccuracyTable, "row", lambda self, *arguments: broken(*arguments))
    (row,) = table.measure([0], None, Runs(Path("none")))
    assert row.cells == ("half", "failed: ValueError: no mean")


def test_a_row_may_lack_a_kind_of_size():
    pytest.importorskip("matplotlib")
    subsets = {"old": {"I": 1.0, "tokens=10": 50.0, "tokens=9": 40.0}, "new": {"depth=2": 70.0, "tokens=9": 80.0}}
    runs = SimpleNamespace(metrics=lambda training: {"test": {"subsets": subsets[training]}})
    figure = OF_RUNS["sizes"]({"old": ["old"], "new": ["new", "new"]}, runs)
    shown = [list(zip(*axes.lines[0].get_data(), strict=True)) for axes in figure.axes]
    assert shown == [[], [(9, 40.0), (10, 50.0)], [(2, 70.0)], [(9, 80.0)]]
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["depth of the tree", "length of the input (tokens)"]
