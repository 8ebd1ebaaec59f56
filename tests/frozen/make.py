"""Train the frozen runs anew, and write down what they answer.

python tests/frozen/make.py

When to do this is in CONTRIBUTING.md; tests/test_frozen.py reads what it writes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import nsr
from nsr.cli.main import main
from nsr.export import export

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
RUNS = {  # the command that trains each run, and sentences to answer
    "scan": (
        "train scan --split length --max-tokens 4 --out scan",
        ["jump", "turn left twice", "jump around left twice and walk", "look opposite right thrice after run"],
    ),
    "pairs": (
        "train pairs --train train.tsv --test test.tsv --syntax phrases.lark --out pairs",
        ["red", "green twice", "red after blue twice then green", "blue then red after green"],
    ),
}
MEASURED = ("accuracy", "answered", "accuracy_of_answered", "count")


def observe(name: str) -> dict[str, Any]:
    """What a frozen run answers; the working folder is this one."""
    model = nsr.load(name)
    _, sentences = RUNS[name]
    with tempfile.TemporaryDirectory() as folder:
        export(model, [tuple(sentence.split()) for sentence in sentences], folder)
        exported = {path.name: path.read_text(encoding="utf-8") for path in Path(folder).iterdir()}
    return {
        "metrics": {part: model.metrics["test"][part] for part in MEASURED},
        "evaluated": {part: nsr.evaluate(model)[part] for part in MEASURED},
        "predicted": [None if value is None else " ".join(value) for value in model.predict(sentences)],
        "explained": [model.deduce(sentence).pretty() for sentence in sentences],
        "grammar": [line for line in exported["grammar.lark"].splitlines() if not line.startswith("//")],
        "programs": exported["programs.nsr"].splitlines(),
    }


if __name__ == "__main__":
    os.chdir(HERE)
    for each, (command, _) in RUNS.items():
        shutil.rmtree(each, ignore_errors=True)
        assert main([*command.split(), "--quiet"]) == 0
    observed = {each: observe(each) for each in RUNS}
    EXPECTED.write_text(json.dumps(observed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
