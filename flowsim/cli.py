"""The command line: `flowsim check | flow | descend | compare | map | layers | relu | sgd | finite | sweep | plot | info`.

Exit codes: 0 done, 1 a run failed, a claim did not come out as it should, or a file could not be written; 2 bad input; 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import flowsim
from flowsim import commands
from flowsim.commands.output import BAD_INPUT, FAILED, INTERRUPTED, complain

app = App(
    name="flowsim",
    help="Gradient flow and gradient descent of linear networks on spherically symmetric data, held against the theory.",
    help_format="plaintext",
    version=lambda: flowsim.__version__,
    # the result of a command is the exit code, and Ctrl-C is a case like others
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for command in (
    commands.check,
    commands.flow,
    commands.descend,
    commands.compare,
    commands.layers,
    commands.relu,
    commands.sgd,
    commands.finite,
    commands.sweep,
    commands.plot,
    commands.info,
):
    app.command(command)
app.command(commands.regimes, name="map")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's) and return its exit code. Bad input is one line on stderr."""
    try:
        code = app(None if argv is None else list(argv), exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        return complain(error, BAD_INPUT)
    except BrokenPipeError:
        # the reader of a pipe has gone; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, FileNotFoundError) as error:
        return complain(error, BAD_INPUT)
    except (OSError, RuntimeError) as error:
        return complain(error, FAILED)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
