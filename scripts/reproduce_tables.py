"""Train and measure what the tables of results show, and print them; the same as ``nsr table``.

python scripts/reproduce_tables.py scan                                   # the accuracies on SCAN, seeds 0-4
python scripts/reproduce_tables.py scan --data-dir ../shared/data         # from the official files where there are any
python scripts/reproduce_tables.py scan-raw scan-size --seeds 3 --jobs 2 --out results
python scripts/reproduce_tables.py all --data-dir ../shared/data --out results    # every table; hours
python scripts/reproduce_tables.py --list                                 # which groups and tables there are
"""

import sys

from nsr.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["table", *sys.argv[1:]]))
