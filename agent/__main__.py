"""`python -m agent` in a checkout; not shipped."""

from outrider.cli import main

raise SystemExit(main())
