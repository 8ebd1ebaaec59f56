"""``python -m nsr`` is the command ``nsr``."""

from nsr.cli.main import main

raise SystemExit(main())
