"""`python -m flowsim`: the command line."""

from flowsim.cli import main

main()
