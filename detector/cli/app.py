"""The command tree, and the one place where an error becomes a sentence on stderr."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from detector._version import __version__
from detector.cli import bench, dataset, evaluate, info, scan, training
from detector.cli.exit_codes import ExitCode
from detector.cli.printable import printable
from detector.cli.streams import mend_streams
from detector.errors import OrdnanceError, UsageError

NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""How a write fails that finds no room, EDQUOT where the system has quotas."""

app = typer.Typer(
    name="ordnance",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Finds weapons in video and says when, where and how surely.",
    epilog="Exit codes: 0 done (found or not), 1 failed, also to print the output, 2 wrong usage, 3 clips without a "
    "report, 130 interrupted.",
)
app.command("scan")(scan.scan_command)
app.command("models")(info.models_command)
app.command("schema")(info.schema_command)
app.command("train")(training.train_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("compare")(evaluate.compare_command)
app.command("export")(training.export_command)
app.command("calibrate")(training.calibrate_command)
app.command("optimise")(training.optimise_command)
app.add_typer(dataset.dataset_app, name="dataset")
app.add_typer(bench.bench_app, name="bench")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ordnance {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


_GO_ON = (["scan"], ["train"], ["dataset", "synthetic"], ["dataset", "render"])
"""The commands that keep what they have done."""


def run(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. No traceback reaches the user unless ORDNANCE_DEBUG is set."""
    mend_streams()
    code = _run(arguments)
    if code == ExitCode.INTERRUPTED:
        words = sys.argv[1:] if arguments is None else arguments
        goes_on = "what is finished is kept, and the same command goes on (scan: with --resume)"
        _complain(f"interrupted; {goes_on}." if words[:1] in _GO_ON or words[:2] in _GO_ON else "interrupted.")
    return code


def _run(arguments: list[str] | None) -> int:
    try:
        code = int(app(arguments, standalone_mode=False, prog_name="ordnance") or 0)
        print(end="", flush=True)
        return code
    except typer.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except OrdnanceError as error:
        _complain(str(error))
        return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED
    except BrokenPipeError:
        _give_up_output()
        return ExitCode.FAILED
    except MemoryError:
        _complain("there is not enough memory for this; end other programs, or let this one have more (ulimit -v).")
        return ExitCode.FAILED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            return int(error.exit_code)
        if isinstance(error, OSError) and _is_of_the_output(error):
            _give_up_output()
            _complain(
                f"the output cannot be written ({error.strerror or error}); make room there or send it elsewhere."
            )
            return ExitCode.FAILED
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            _complain(
                f"no more files can be opened ({error.strerror}); raise the limit (ulimit -n) or end other programs."
            )
            return ExitCode.FAILED
        if os.environ.get("ORDNANCE_DEBUG"):
            raise
        _complain(
            f"unexpected {type(error).__name__}: {error}. This is a fault of ours; set ORDNANCE_DEBUG=1 for the "
            "details and report it."
        )
        return ExitCode.FAILED


def _complain(message: str) -> None:
    print(f"ordnance: {printable(message)}", file=sys.stderr)


def _is_of_the_output(error: OSError) -> bool:
    """Whether what was printed cannot be written: stdout still holds it, or nobody names a file that has no room."""
    try:
        print(end="", flush=True)
    except OSError:
        return True
    return error.filename is None and error.errno in NO_ROOM


def _give_up_output() -> None:
    """Send what stdout still holds nowhere, or Python would try once more at its end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
