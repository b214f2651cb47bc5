"""What several commands share."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from portico.client import Client

#: Read when --config is not given and the file is there.
DEFAULT_CONFIG: Final = Path("portico.yaml")


class UsageError(Exception):
    """Something the user can mend; its message says how."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config to a command."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration (default: portico.yaml in this folder; without one, the environment)",
    )


def config_path(options: argparse.Namespace) -> Path | None:
    """Return the configuration file to read. None: there is none, and the environment decides."""
    path: Path | None = options.config
    if path is not None:
        return path
    return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None


def checked_address(option: str, text: str) -> str:
    """Return the address of an option; raise UsageError where it is none."""
    from portico.config import address

    found = address(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is no address. Write HOST:PORT, :PORT or unix:/PATH.")
    return found


def add_core(parser: argparse.ArgumentParser) -> None:
    """Add to a command how it reaches a running core, and with which key."""
    add_target(parser)
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="a key for the gateway, where it asks for one (default: PORTICO_API_KEY of the environment)",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add to a command where a running core is."""
    parser.add_argument(
        "--grpc",
        default="localhost:50051",
        metavar="TARGET",
        help="the core: HOST:PORT, unix:/PATH or dns:///NAME:PORT (default: %(default)s)",
    )


def api_key(options: argparse.Namespace) -> str | None:
    """Return the key to show to a gateway."""
    return options.api_key or os.environ.get("PORTICO_API_KEY")


def ask_core(options: argparse.Namespace, ask: Callable[["Client"], int], timeout: float | None = 10) -> int:
    """Call a running core; tell why it failed and return 1 where it did. ``timeout``: seconds per call."""
    from portico.client import APIError, Client, UnavailableError

    try:
        with Client(options.grpc, api_key=api_key(options), timeout=timeout) as client:
            return ask(client)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except APIError as error:
        where = f" ({options.grpc})" if isinstance(error, UnavailableError) else ""
        print(f"portico: {error}{where}", file=sys.stderr)
        return 1


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows of texts out in columns."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in (heads, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)
