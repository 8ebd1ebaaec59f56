"""Train a model on a split of a task; the same as ``nsr train``.

python scripts/train.py scan --split length --seed 0 --out runs/scan      # a few seconds
python scripts/train.py scan --split length --seed 0 --out runs/scan --resume
python scripts/train.py --help                                            # all options
"""

import sys

from nsr.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
