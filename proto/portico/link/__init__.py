"""The link between Portico's own facade and core: many calls over one long stream (v1/link.proto).

``LinkedGateway`` is the facade's end, ``portico_core.link`` the core's. What both share stands in
``outbox`` and ``pieces``.
"""

from portico.link.gateway import LinkedGateway
from portico.link.links import Links

__all__ = ["LinkedGateway", "Links"]
