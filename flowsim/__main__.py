"""`python -m flowsim`: the command line."""

import sys

from flowsim.cli import main

sys.exit(main())
