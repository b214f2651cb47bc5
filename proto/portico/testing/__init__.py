"""What tests of and around Portico need; shipped, so that third parties run the same.

- ``portico.testing.contract``: the suite that every adapter must pass.
- ``portico.testing.upstream`` and ``.wire``: a scripted HTTP server in the place of a backend.
- ``portico.testing.gateway``: a scripted ``Gateway`` in memory, for what calls one.
- ``portico.testing.assemble``: an unstreamed answer out of a streamed one.
"""
