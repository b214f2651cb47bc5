"""What tests of and around Portico need; shipped, so that third parties run the same.

- ``portico.testing.contract`` and ``.upstream_contract``: the suite that every adapter must pass, and what
  it is for those that call a server over HTTP.
- ``portico.testing.optional_contract``: what those must keep besides that complete texts or embed them.
- ``portico.testing.upstream`` and ``.wire``: a scripted HTTP server in the place of a backend.
- ``portico.testing.gateway``: a scripted ``Gateway`` in memory, for what calls one.
- ``portico.testing.watch``: waiting for conditions, and signs of life.
- ``portico.testing.assemble``: an unstreamed answer out of a streamed one.
"""
