"""Draw what a model that was trained on images sees: confusion matrix, most confident errors, an explained input.

python scripts/picture_run.py runs/images --out pictures                    # confusion.png, errors.png, explained.svg
python scripts/picture_run.py runs/images --out pictures --explain "2*(3+4)-6/4"
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import nsr
from nsr.errors import ConfigError, NSRError
from nsr.experiment import examples_of
from nsr.recognition import Recognition
from nsr.reports.measurement import write_outputs
from nsr.reports.plots import require_matplotlib
from nsr.reports.recognition import confusion_plot, contact_sheet
from nsr.reports.trees import to_svg

ERRORS = 48  # on the contact sheet


def main(arguments: list[str] | None = None) -> int:
    """Draw the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder of a model that was trained on images")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for the pictures")
    parser.add_argument("--explain", metavar="EXPRESSION", default="2*(3+4)-6/4", help="drawn with test images")
    parser.add_argument("--part", default="test", help="examples that are read: test (default) or validation")
    given = parser.parse_args(arguments)
    try:
        _draw(given)
    except NSRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _draw(given: argparse.Namespace) -> None:
    require_matplotlib()
    model = nsr.load(given.run)
    if model.task is None or model.modules.perception.certain:
        raise ConfigError(f"{given.run} was not trained on images")
    examples = examples_of(model, part=given.part)
    seen = Recognition.of(model, examples, model.derive(examples.inputs))
    jointly = seen.accuracy(seen.read)
    pictures = {
        "confusion.png": confusion_plot(
            seen.labels, seen.confusion(seen.read), f"Symbols read in {given.part} expressions: {jointly:.2f}% right"
        ),
        "errors.png": _errors(model, examples, seen),
        "explained.svg": _explained(model, given.explain),
    }
    write_outputs(given.out, pictures)
    print(f"symbols by themselves  {seen.accuracy(seen.alone):.2f}%")
    print(f"symbols read jointly   {jointly:.2f}%")
    print("\n".join(str(given.out / name) for name in pictures))


def _errors(model: nsr.NSR, examples: nsr.tasks.Examples, seen: Recognition) -> bytes:
    """The images that are taken for something else with the most confidence."""
    pool = examples.inputs.pool
    images, first = np.unique(seen.images, return_index=True)
    gold, log_probs = seen.gold[first], model.modules.perception.log_probs(pool, images)
    read = seen.label_of[log_probs.argmax(axis=1)]
    wrong = np.flatnonzero(read != gold)
    wrong = wrong[np.argsort(-log_probs[wrong].max(axis=1), kind="stable")]
    names = (*seen.labels, "none")
    captions = [f"{names[gold[each]]} read {names[read[each]]}" for each in wrong[:ERRORS].tolist()]
    title = f"The most confident of {len(wrong)} errors among {len(images)} distinct images"
    return contact_sheet(pool.images[images[wrong[:ERRORS]]], captions, title)


def _explained(model: nsr.NSR, expression: str) -> bytes:
    """The tree of one expression."""
    inputs = model.encode(expression)
    return to_svg(model.deduce(inputs).readable(), inputs.images).encode()


if __name__ == "__main__":
    sys.exit(main())
