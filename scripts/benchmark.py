"""Measure the speed of learning and inference, beside one epoch of an LSTM with attention.

python scripts/benchmark.py                                     # SCAN length: tables on stdout; one to three minutes
python scripts/benchmark.py --out runs/benchmark                # and benchmark.json, benchmark.md, growth.png
python scripts/benchmark.py --data-dir ../shared/data           # the official files instead of generated data
python scripts/benchmark.py --task pcfg --data-dir ../shared/data --out results    # PCFG SET: benchmark-pcfg.*
python scripts/benchmark.py --quick                             # a smoke test; its figures are rough
"""

import argparse
import sys
from pathlib import Path

from nsr.cli.common import whole
from nsr.errors import NSRError
from nsr.reports.benchmark import PLOTTED, QUICK, SPLITS, BenchmarkConfig, benchmark, write_report
from nsr.reports.plots import require_matplotlib


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SPLITS, default="scan", help="what is measured (default scan)")
    parser.add_argument("--seed", type=whole, default=0)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="read the official files below this folder")
    parser.add_argument("--repeats", type=int, metavar="N", help="runs behind each figure (default 5)")
    parser.add_argument("--skip-reference", action="store_true", help="no LSTM, hence no ratios")
    parser.add_argument("--quick", action="store_true", help="small samples, one run each")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the report there (SCAN: also growth.png)")
    given = parser.parse_args(arguments)
    settings = dict(QUICK) if given.quick else {}
    if given.repeats is not None:
        settings["repeats"] = given.repeats
    try:
        if given.out is not None and given.task == PLOTTED:
            require_matplotlib()
        config = BenchmarkConfig(given.task, given.seed, given.data_dir, reference=not given.skip_reference, **settings)
        report = benchmark(config, lambda step: print(f"measuring: {step}", file=sys.stderr))
        print(report.to_markdown(), end="")
        if given.out is not None:
            write_report(report, given.out)
    except NSRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
