"""The environment that commands run in: the process's own, a .env file, and a key where one is asked for."""

import os
import secrets
import sys
from pathlib import Path
from typing import Final

from portico_facade.cli.common import UsageError

_FILE: Final = Path(".env")


def read_env_file() -> None:
    """Add the variables of .env in this folder, if it is there; those that are set already stay."""
    if not _FILE.is_file():
        return
    from dotenv import load_dotenv

    try:
        load_dotenv(_FILE, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{_FILE} cannot be read: {error}") from error


def make_up_key(*, tell: bool) -> None:
    """Set API_KEY_SECRET to a random key where ENABLE_AUTH asks for one and none is given.

    The processes that a command starts, and starts again, inherit it.
    """
    from portico_core.config import ConfigError
    from portico_core.environment import needs_key

    try:
        needed = needs_key(os.environ)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    if needed:
        key = f"pk-{secrets.token_urlsafe(32)}"
        os.environ["API_KEY_SECRET"] = key
        if tell:
            print(
                f"portico: API_KEY_SECRET is not set; callers of this run need the key {key}", file=sys.stderr
            )
