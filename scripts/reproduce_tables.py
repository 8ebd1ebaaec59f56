"""Train and test what the tables of results show, and print them.

python scripts/reproduce_tables.py scan                                   # all eight splits, seeds 0-4
python scripts/reproduce_tables.py scan --data-dir ../shared/data         # from the official files where there are any
python scripts/reproduce_tables.py scan-raw scan-size scan-ablations --seeds 3 --out results
python scripts/reproduce_tables.py pcfg pcfg-size pcfg-tests pcfg-deep --data-dir ../shared/data --out results
python scripts/reproduce_tables.py pcfg-induction pcfg-generated --seeds 2 --out results
python scripts/reproduce_tables.py export --seeds 2 --data-dir ../shared/data --out results
"""

import argparse
import sys
from pathlib import Path

from nsr.errors import NSRError
from nsr.reports.reproduction import TABLES, reproduce


def main(arguments: list[str] | None = None) -> int:
    """Make the tables; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=TABLES, metavar="TABLE", help=f"any of: {', '.join(TABLES)}")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1 (default 5)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="read the official files below this folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write TABLE.md and TABLE.json there")
    given = parser.parse_args(arguments)
    if given.seeds < 1:
        parser.error("--seeds must be at least 1")
    try:
        for name in given.tables:
            print(reproduce(name, range(given.seeds), given.data_dir, given.out))
    except NSRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
