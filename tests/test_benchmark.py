"""The benchmark measures what it says; how fast things are is not tested."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from modules import module_of

from nsr.errors import ConfigError, RunError
from nsr.reports import measurement
from nsr.reports.benchmark import BenchmarkConfig, benchmark, count_terms, long_commands, write_report
from nsr.reports.measurement import Measurement, Report, commit, run_process, timed
from nsr.semantics.induction import Example, InductionConfig, Space
from nsr.semantics.primitives import primitive_set

TINY = BenchmarkConfig(
    repeats=1,
    probe=64,
    extrapolate=True,
    sample=50,
    max_bank=100,
    growth_examples=(16_000,),
    growth_tokens=(5, 9),
    growth_batch=4,
)


@pytest.fixture(scope="module")
def steps() -> list[str]:
    return []


@pytest.fixture(scope="module")
def report(steps: list[str]) -> Report:
    return benchmark(TINY, steps.append)


def test_every_kind_of_thing_is_measured_and_announced(report: Report, steps: list[str]) -> None:
    groups = {"process": 1, "reference": 1, "deduce": 2, "abduce": 3, "induce": 2, "examples": 1, "tokens": 2}
    assert {group: len(report.group(group)) for group in groups} == groups
    assert {each.name for each in report.group("phase")} >= {"phase: deduce", "phase: abduce", "phase: parser"}
    assert len(steps) == len(set(steps)) == 7


def test_seconds_speeds_and_ratios_are_positive(report: Report) -> None:
    for each in report.measurements:
        if each.group != "phase":  # a phase may take no time
            assert each.seconds > 0
            assert report.ratio(each) > 0
        assert each.per_second is None or each.per_second > 0
    assert report.ratio(report.group("reference")[0]) == 1


def test_phases_add_up_to_the_process(report: Report) -> None:
    assert sum(each.seconds for each in report.group("phase")) == pytest.approx(report.group("process")[0].seconds)


def test_what_is_timed_also_works(report: Report) -> None:
    facts = {each.name: each.facts for each in report.measurements}
    assert facts["nsr train, start to end"]["% accuracy"] > 99
    assert facts["nsr train, start to end"]["MB peak memory"] > 50
    assert facts["LSTM+attention: one epoch (extrapolated from 64 examples)"]["parameters"] > 1_000_000
    assert facts["deduce+abduce: untrained parser, at most 4 tokens"]["% explained"] == 100
    assert facts["deduce 9 tokens"]["% right"] == 100


def test_report_is_written_with_its_provenance(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_report(report, tmp_path / "new")
    data = json.loads((tmp_path / "new" / "benchmark.json").read_text())
    assert data["seed"] == 0
    assert data["commit"] == report.provenance["commit"]
    assert data["machine"].keys() >= {"cpu", "cores", "torch"}
    assert {"date", "seconds", "settings"} <= data.keys()
    assert all(each["seconds"] >= 0 and "ratio_to_reference" in each for each in data["measurements"])
    assert (tmp_path / "new" / "benchmark.md").read_text() == report.to_markdown()
    assert report.caption() in report.to_markdown()
    image = (tmp_path / "new" / "growth.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert report.provenance["commit"].encode() in image


@pytest.mark.slow
def test_pcfg_is_measured_as_a_whole(tmp_path: Path) -> None:
    report = benchmark(replace(TINY, task="pcfg"))
    assert {each.group for each in report.measurements} == {"process", "phase", "reference", "deduce"}
    assert report.group("process")[0].facts["% accuracy"] > 99
    write_report(report, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"benchmark-pcfg.json", "benchmark-pcfg.md"}


@pytest.mark.slow
def test_official_files_are_named_by_what_is_in_them(data_dir: Path) -> None:
    data = benchmark(replace(TINY, data_dir=data_dir, reference=False)).to_json()
    assert [Path(name).stem for name in data["files"]] == ["tasks_train_length", "tasks_test_length"]
    assert all(len(digest) == 64 for digest in data["files"].values())
    assert str(data_dir) not in json.dumps(data)


def test_report_cannot_replace_a_file(report: Report, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(RunError, match="cannot be written"):
        write_report(report, tmp_path / "taken")


def test_without_reference_there_are_no_ratios() -> None:
    measurement = Measurement("deduce", "deduce", (2.0, 1.0, 4.0), 10, "sentences")
    report = Report("test", {}, {"Speed": [measurement]})
    assert measurement.seconds == 2
    assert measurement.per_second == 5
    assert report.ratio(measurement) is None


def test_peak_memory_is_the_measured_process_alone() -> None:
    held = torch.ones(100 * 2**18)  # 100 MB here, which are not the child's
    small = run_process([sys.executable, "-c", "print('done')"])
    large = run_process([sys.executable, "-c", "bytes(range(256)) * 2**18"])
    assert small.output == "done\n"
    assert small.peak_mb < 50 < held.nbytes / 2**20
    assert large.peak_mb > 60


def test_failed_process_is_reported_by_its_last_line() -> None:
    with pytest.raises(RunError, match=r"failed: no such luck$"):
        run_process([sys.executable, "-c", "raise SystemExit('first line\\nno such luck')"])


def test_preparation_is_not_timed() -> None:
    prepared = iter(range(3))
    runs, last = timed(lambda value: value, 3, lambda: next(prepared))
    assert len(runs) == 3
    assert last == 2


def test_commit_is_a_hash_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert commit() == "unknown" or len(commit().removesuffix("-dirty")) == 40
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"


def test_a_commit_is_dirty_by_the_package_not_by_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, result = tmp_path / "nsr" / "reports" / "measurement.py", tmp_path / "results" / "scan.md"
    for file in (source, result):
        file.parent.mkdir(parents=True)
        file.write_text("1\n", encoding="utf-8")
    me = ("-c", "user.name=nsr", "-c", "user.email=nsr@localhost")
    for words in (("init", "-q"), ("add", "."), (*me, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    monkeypatch.setattr(measurement, "__file__", str(source))
    clean = commit()
    assert len(clean) == 40
    result.write_text("2\n", encoding="utf-8")
    assert commit() == clean
    source.write_text("2\n", encoding="utf-8")
    assert commit() == f"{clean}-dirty"


def test_long_commands_mean_their_phrases_backwards() -> None:
    commands = long_commands(9, 20, np.random.default_rng(0))
    assert all(len(tokens) == 9 and tokens[4] == "and" for tokens in commands.inputs)
    for tokens, actions in commands:
        words = [action.removeprefix("I_").removeprefix("TURN_").lower() for action in actions]
        assert words == [*reversed(tokens[:4]), *reversed(tokens[5:])]


def test_terms_are_counted_once_each() -> None:
    space = Space(primitive_set("list"))
    examples = [Example((("a",),), ("x", "y", "z")), Example((("b",),), ("z", "y", "x"))]
    counts = [count_terms(examples, 1, space, InductionConfig(max_program_size=size)) for size in (1, 2, 3)]
    assert counts[1] - counts[0] == 4  # car and cdr of nil and of the argument
    assert counts[2] > counts[1]


def test_repeats_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="repeats must be at least 1"):
        BenchmarkConfig(repeats=0)


def test_only_tasks_with_a_benchmark_are_measured() -> None:
    with pytest.raises(ConfigError, match="no benchmark for task 'other'"):
        BenchmarkConfig("other")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return module_of("scripts/benchmark.py")


def test_script_reports_errors_in_one_line(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--repeats", "0"]) == 2
    assert script.main(["--data-dir", "/nowhere"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in errors] == [True, True]


def test_script_refuses_seeds_that_are_none(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.main(["--seed", "-1"])
    assert "argument --seed: must be a whole number, 0 or more" in capsys.readouterr().err


def test_script_needs_matplotlib_only_for_plots(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = []
    monkeypatch.setattr(script, "require_matplotlib", lambda: needed.append("matplotlib"))
    for task in ("pcfg", "scan"):
        assert script.main(["--task", task, "--data-dir", "/nowhere", "--out", "/nowhere"]) == 2
        assert needed == ["matplotlib"] * (task == "scan")


def test_script_help_has_commands_to_copy(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.main(["--help"])
    assert "python scripts/benchmark.py --quick" in capsys.readouterr().out
