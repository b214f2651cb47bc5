"""Portico's plinth: what every part, client and adapter author may import.

- ``portico.v1``: the contract, as messages and stubs (proto/portico/v1/*.proto).
- ``portico.gateway`` and ``portico.adapter``: the two protocols.
- ``portico.config``: reading the configuration file, value by value with its line.
- ``portico.errors``: the one exception, and the tables between it, HTTP and gRPC.
- ``portico.remote``: the gateway protocol over a gRPC channel.
- ``portico.client``: the client for internal services, for threads and for asyncio.
- ``portico.openai``: OpenAI's dialect, JSON <-> messages.
- ``portico.testing``: fakes, and the suite that every adapter must pass.
"""

__version__ = "0.1.0"
