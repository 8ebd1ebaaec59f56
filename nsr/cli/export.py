"""``nsr export``: a trained model as a lark grammar and a script that needs only lark."""

from __future__ import annotations

from argparse import Namespace

from nsr.cli.common import Parser, path, tell

PURPOSE = "Write what a trained model learned as a lark grammar, programs, and a script that needs only lark."
EXAMPLE = "nsr export runs/scan --out scan-grammar --check"


def add_arguments(parser: Parser) -> None:
    """The run, where to write, and what to check."""
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", metavar="DIR", type=path, required=True, help="folder to write to; new or empty")
    parser.add_argument("--check", action="store_true", help="compare with the model on the run's test sentences, too")
    parser.add_argument("--data-dir", metavar="DIR", help="read the authors' files instead of generating the data")


def run(arguments: Namespace) -> None:
    """Export, and print how script and model compare."""
    from nsr.experiment import data_of, load_and_tell
    from nsr.export import SCRIPT, export

    model = load_and_tell(arguments.run, tell)
    data = data_of(model, data_dir=arguments.data_dir)
    agreements = export(model, data.train.inputs, arguments.out, data.test.inputs if arguments.check else ())
    for what, each in zip(("trained", "tested"), agreements, strict=False):
        print(f"{what:<8}{each.count} sentences answered as by the model")
    print(f"speed   {each.script_speed:.0f} sentences a second by {SCRIPT}, {each.model_speed:.0f} by the model")
    print(f"folder  {arguments.out}")
