"""Reading the configuration file, which both halves of the gateway do.

``read`` turns the file into a tree of ``Node``s that know their line; ``fill`` turns a node into a
dataclass, checking it member by member. Needs PyYAML, which the base of the distribution lacks.
"""

from portico.config.document import ConfigError, Node, parse, read
from portico.config.fill import fill, given, value
from portico.config.values import Duration, Size, Url

__all__ = ["ConfigError", "Duration", "Node", "Size", "Url", "fill", "given", "parse", "read", "value"]
