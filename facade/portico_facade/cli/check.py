"""``portico check``: validate the configuration and print the routes it makes."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from portico_facade.cli import workers
from portico_facade.cli.common import UsageError, add_config, config_path, table
from portico_facade.cli.environment import make_up_key

if TYPE_CHECKING:
    from portico_core import config as core_config
    from portico_facade import config as facade_config


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="validate the configuration and print its routes",
        description="Validate the configuration without opening a connection, and print the routes that "
        "it makes. A mistake is told with file, line, key and remedy; the exit status is then 2.",
    )
    add_config(parser)
    parser.set_defaults(run=_run)


def load(path: Path | None) -> "tuple[facade_config.Settings, core_config.Config]":
    """Read the configuration as the facade and as the core do; raise UsageError for a mistake."""
    from portico_core import config as core_config
    from portico_facade import config as facade_config

    mistakes = []
    try:
        settings = facade_config.load(path, os.environ)
    except facade_config.ConfigError as error:
        mistakes.append(str(error))
    try:
        config = core_config.load(path, os.environ)
    except core_config.ConfigError as error:
        mistakes.append(str(error))
    if mistakes:
        # A file that is no YAML fails both readers in the same words.
        raise UsageError("\n".join(dict.fromkeys(mistakes)))
    return settings, config


def _run(options: argparse.Namespace) -> int:
    from portico.config import ConfigError
    from portico_core.backends import build
    from portico_core.route_table import route_rows

    make_up_key(tell=False)
    path = config_path(options)
    settings, config = load(path)
    workers.wanted(None, os.environ, config.grpc.listen)
    try:
        build(config.backends)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    print(f"{path or 'no configuration file: the environment decides'}")
    admin = f", metrics of the core {config.admin}" if config.admin else ""
    print(f"http {settings.listen}, grpc {config.grpc.listen}{admin}")
    print(f"callers {_doors(config)}\n")
    print(table(("MODEL", "CANDIDATES, IN ORDER", "FROM"), route_rows(config)))
    return 0


def _doors(config: "core_config.Config") -> str:
    """Say what callers need, and what they may ask for."""
    need = (
        f"need one of these keys: {', '.join(key.name for key in config.keys)}"
        if config.keys
        else "need no key"
    )
    allowed = config.routes.allowed
    return need if allowed is None else f"{need}, and may ask for {', '.join(allowed) or 'nothing'}"
