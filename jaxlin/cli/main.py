"""The command's entrance: which command runs, and what an error looks like."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

import jaxlin
from jaxlin.cli.compilation_cache import keep_compiled_programs
from jaxlin.cli.interruption import PartlyOutError
from jaxlin.cli.output import in_options, prepare_streams, say
from jaxlin.errors import DataFormatError, DivergedError, InputError

_FAILED, _BAD_INPUT, _INTERRUPTED, _NOBODY_READS = 1, 2, 130, 141


COMMANDS = (
    *("train", "sweep", "probe", "evaluate", "predict", "info", "export"),
    *("ladder", "check-gradients"),
)


class _Commands(click.Group):
    """Commands by name, each imported when it is asked for: what one needs, others do without."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All their names, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return getattr(importlib.import_module(f"jaxlin.cli.{name}"), name)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True
)
@click.version_option(jaxlin.__version__, message="jaxlin %(version)s")
def commands() -> None:
    """Linear classifiers in JAX: the multiclass SVM and softmax."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process with its exit code."""
    if not prepare_streams():
        sys.exit(_fail("standard output is closed: results have nowhere to go.", _FAILED))
    _set_imports_aside()
    keep_compiled_programs()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _nobody_reads()
    except OSError as error:  # a full disk behind standard output
        code = _fail(f"the output cannot be written: {error.strerror}", _FAILED)
        _discard_output()
    if code == _INTERRUPTED:
        # The device may be in the middle of an epoch, and Python's tidying up would pull the arrays
        # from under it: a segmentation fault, one time in three.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


@functools.cache  # once a process: tests run many commands in one
def _set_imports_aside() -> None:
    """Spares the garbage collector what was imported: a tenth of a short command's time."""
    gc.freeze()


def _run(arguments: Sequence[str] | None) -> int:
    import jax

    try:
        done = commands.main(arguments, prog_name="jaxlin", standalone_mode=False)
        return done if isinstance(done, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as problem:
        say(problem.format_message())
        return _BAD_INPUT
    except click.ClickException as problem:
        return _fail(_usage(problem), _BAD_INPUT)
    except (InputError, DataFormatError) as problem:
        return _fail(in_options(str(problem)), _BAD_INPUT)
    except DivergedError as problem:
        return _fail(_divergence(len(problem.history) + 1), _FAILED)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; nothing was written.", _INTERRUPTED)
    except PartlyOutError:
        return _fail("interrupted; the output is not complete.", _INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # click makes the latter of the former
        return _nobody_reads()
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else "the output cannot be written: "
        return _fail(f"{where}{problem.strerror or problem}", _FAILED)
    except MemoryError:
        return _fail("the data do not fit into memory.", _FAILED)
    except jax.errors.JaxRuntimeError as problem:
        return _fail(f"the device failed: {problem}", _FAILED)


def _usage(problem: click.ClickException) -> str:
    context = getattr(problem, "ctx", None)
    command = context.command_path if context else "jaxlin"
    return f"{problem.format_message().rstrip('.')}. See {command} --help."


def _divergence(epoch: int) -> str:
    return (
        f"the fit diverged in epoch {epoch}, and nothing was written. Take a lower --learning-rate "
        "or --l2, or scale the features (--scaling standardize)."
    )


def _fail(message: str, code: int) -> int:
    """One line, whatever the message holds."""
    say("jaxlin: " + " ".join(message.split()))
    return code


def _nobody_reads() -> int:
    _discard_output()
    return _NOBODY_READS


def _discard_output() -> None:
    """What is left in the buffer goes nowhere, so that Python's own flush at the end is silent."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
