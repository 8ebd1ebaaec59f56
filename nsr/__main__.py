"""``python -m nsr`` is the command ``nsr``."""

from nsr.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
