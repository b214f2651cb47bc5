"""Reading the configuration file, which both halves of the gateway do.

``read`` turns the file into a tree of ``Node``s that know their line; ``fill`` turns a node into a
dataclass, checking it member by member. Needs PyYAML, which the base of the distribution lacks.
"""

from portico.config.document import Source, parse, read
from portico.config.fill import did_you_mean, fill, given, value
from portico.config.mistakes import ConfigError, Mistakes
from portico.config.node import Node
from portico.config.values import Address, Duration, Size, Tokens, Url, address

__all__ = [
    "Address",
    "ConfigError",
    "Duration",
    "Mistakes",
    "Node",
    "Size",
    "Source",
    "Tokens",
    "Url",
    "address",
    "did_you_mean",
    "fill",
    "given",
    "parse",
    "read",
    "value",
]
