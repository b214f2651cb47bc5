"""Which of a model's candidates are tried, and in which order: docs/resilience.md, "Pools".

``needs`` says what a request needs, ``fit`` who can serve it, ``balance`` and ``affinity`` who of a group
goes first, ``order`` joins them, ``choice`` does it for a call, ``explain`` tells people. All of it is
pure: how candidates are doing, and chance, are handed in.
"""
