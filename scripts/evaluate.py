"""Test a trained model on a split of its task, or on examples of your own; the same as ``nsr evaluate``.

python scripts/evaluate.py runs/scan                     # the split it was trained on
python scripts/evaluate.py runs/scan --split simple
python scripts/evaluate.py runs/scan --test mine.tsv     # lines of an input, a tab and an output
"""

import sys

from nsr.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
