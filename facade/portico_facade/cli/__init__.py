"""The ``portico`` command. Only here, in ``whole`` and in ``worker`` do the wings meet."""

import argparse
import os
import sys
from collections.abc import Sequence

import portico
from portico_facade.cli import (
    chat,
    check,
    core,
    explain,
    facade,
    logs,
    models,
    reload,
    serve,
    status,
    workers,
)
from portico_facade.cli.common import UsageError
from portico_facade.cli.environment import read_env_file

_DESCRIPTION = """\
Portico is an LLM gateway. Applications keep their OpenAI SDK and change base_url;
internal services dial the gRPC core with the stubs.

  portico serve                    facade and core on this machine
  portico core                     the gRPC routing core alone
  portico facade --core HOST:PORT  the HTTP facade alone, in front of a core elsewhere
  portico check                    validate the configuration and print its routes
  portico explain MODEL            why a request would go where
  portico models                   the models that a running gateway serves
  portico status                   how its backends are doing
  portico reload                   have it read its configuration again
  portico chat "hello"             talk to it

With nothing configured the gateway serves dummy/echo-1 and dummy/story-1, which
need no key and no server.
"""

_EPILOGUE = """\
environment, to which a file .env in this folder adds:
  HOST, PORT   where the facade listens (over the file's `http`); default 0.0.0.0 and 8000
  API_KEYS     keys, separated by commas, one of which every caller must show
  WORKERS      processes of `portico serve`, each a whole gateway; default one for each CPU
  LOG_LEVEL    debug, info (default), warning or error; message texts are logged at debug only
  LOG_DIR      a folder for log files instead of stderr: DIR/worker/access.log, DIR/serve/portico.log, …

Without a configuration file CONFIG, OPENAI_API_KEY, OPENAI_BASE_URL, OLLAMA_URL and GATEWAY_URL make the
backends; .env.example and docs/configuration.md tell of all variables.

exit status: 0 after a clean end or drain, 1 when something failed, 2 for wrong usage or configuration
"""

# One module per command: its name, and what it adds to the parser.
_COMMANDS = (serve, core, facade, check, explain, models, status, reload, chat, workers)

# The commands whose logs may go to files; the others are for people, who read stderr.
_SERVERS = ("serve", "core", "facade", "worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="portico",
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"portico {portico.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        read_env_file()
        logs.configure(os.environ, options.command if options.command in _SERVERS else "")
        status: int = options.run(options)
    except UsageError as error:
        print(f"portico: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].startswith("portico"):
            raise
        print(
            f"portico: this command needs {error.name}: pip install 'portico-gateway[all]'", file=sys.stderr
        )
        return 2
    return status
