"""The facade's own section of the configuration, ``http``. The other sections are neither read nor checked.

http: 0.0.0.0:8000        # short for {listen: 0.0.0.0:8000}

http:
  listen: 0.0.0.0:8000    # or :8000, or unix:/PATH; HOST and PORT of the environment go before it
  core: localhost:50051   # the routing core: HOST:PORT, dns:///NAME:PORT or unix:/PATH
  body_limit: 20MB        # largest request body
  cors: "*"               # or a list of origins, or off
  ping: 15s               # silence after which a stream gives a sign of life
  client_timeout: 60s     # how long a client may stall while it sends its request or takes its answer
  drain: 30s              # how long running requests may go on once the facade is told to stop
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from portico.config import Address, ConfigError, Duration, Node, Size, Source, address, fill, read, value

__all__ = ["ConfigError", "Settings", "load"]

#: The core takes messages of 64 MiB (``portico.remote``), headers and all.
_LARGEST_BODY: Final = 63 * 2**20

#: Seconds that running requests have to finish once the facade is told to stop.
DRAIN: Final = 30.0

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a facade needs to know. Sizes are bytes, times are seconds."""

    listen: Address = "0.0.0.0:8000"
    core: str = "localhost:50051"
    body_limit: Size = 20_000_000
    cors: str | list[str] = "*"
    ping: Duration = 15.0
    client_timeout: Duration = 60.0
    drain: Duration = DRAIN
    #: ``cors`` as a set: the origins whose pages may read the answers. "*" among them means all.
    origins: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.body_limit <= _LARGEST_BODY:
            raise ValueError("body_limit: the routing core takes at most 63MiB. Write less, but more than 0.")
        if ":" not in self.core:
            # gRPC would take a bare name and dial a port that nobody chose.
            raise ValueError(
                f"core: {self.core!r} is no target. Write HOST:PORT, dns:///NAME:PORT or unix:/PATH."
            )
        texts = [self.cors] if isinstance(self.cors, str) else self.cors
        origins = frozenset() if texts == ["off"] else frozenset(text.rstrip("/") for text in texts)
        for origin in origins - {"*"}:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f'cors: {origin!r} is no origin. Write "*", off, or a list such as [https://chat.example.com].'
                )
        object.__setattr__(self, "origins", origins)


def load(source: Source | None, environ: Mapping[str, str]) -> Settings:
    """Read the section ``http`` of a configuration, if there is one.

    HOST and PORT of the environment go before it; CHATGPT_API_PORT stands in for PORT where that is not set.
    Raises ConfigError.
    """
    section = None if source is None else read(source, environ).members().get("http")
    settings = Settings() if section is None else _settings(section)
    port_variable = "PORT" if environ.get("PORT") else "CHATGPT_API_PORT"
    used = [name for name in ("HOST", port_variable) if environ.get(name)]
    if not used:
        return settings
    host, port = environ.get("HOST"), environ.get(port_variable)
    listen = Settings().listen if settings.listen.startswith("unix:") else settings.listen
    old_host, _, old_port = listen.rpartition(":")
    if host and ":" in host and not host.startswith("["):
        host = f"[{host}]"
    wanted = f"{host or old_host}:{port or old_port}"
    if address(wanted) is None:
        raise ConfigError(
            f"{' and '.join(used)} of the environment: {wanted!r} is no address. Mend or unset what is wrong."
        )
    return dataclasses.replace(settings, listen=wanted)


def _settings(section: Node) -> Settings:
    if section.is_mapping or section.absent:
        return fill(Settings, section)
    return Settings(listen=value(Address, section))
