"""OpenAI's dialect: JSON <-> messages in both directions. Pure functions, no I/O.

- ``requests``: the bodies of POST requests. Strict: a known member of a wrong type is 400.
- ``responses``, ``chunks``, ``models``: answers. Lenient: what does not fit its field is carried.
- ``errors``: OpenAI's error object, and the shapes of servers that call themselves compatible.

Nothing is lost in either direction (the rules stand at the head of gateway.proto): members without a
field travel verbatim in ``extra_json``. The tables follow the contract (``_shapes``, ``_fields``): a
new field needs no code here.
"""
