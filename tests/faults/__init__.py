"""Faults of real processes: what callers see, which calls are made and when, and that nothing is left.

``upstream`` is a backend that misbehaves on the wire, ``expected`` the table of what is to come of it.
"""
