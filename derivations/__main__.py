"""Print the derivations, or write them as LaTeX: `python -m derivations --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from derivations.catalogue import UnknownDerivation, derive, names
from derivations.render import as_text, write_latex


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 2 for a name that does not exist."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(names()))
        return 0
    try:
        chosen = [derive(name) for name in options.names or names()]
    except UnknownDerivation as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    if options.latex is not None:
        for path in write_latex(chosen, options.latex):
            print(path)
        return 0
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print("\n\n".join(as_text(derivation, unicode) for derivation in chosen), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m derivations",
        description="Derive flowsim's formulas step by step, checking every step.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="derivations to show (default: all)")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--list", action="store_true", help="list the names and stop")
    output.add_argument("--latex", type=Path, metavar="DIR", help="write .tex files to DIR instead of printing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
