"""What follows a failure: docs/resilience.md draws it.

``symptoms`` says what an error is a sign of, ``plan`` which candidate is tried next and when, ``budget``
how much may be repeated at all, ``breaker`` which candidates calls are kept away from. All of it is pure:
time and chance are handed in.
"""
