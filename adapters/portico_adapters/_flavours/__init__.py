"""Providers that speak OpenAI's dialect, each a little differently: rows of data, and what reads them.

``rows`` holds the providers; ``request`` shapes what is sent by a row. What comes back needs no row:
``answers`` knows the odd spellings of all, none of which means
two things.
"""

from portico_adapters._flavours.row import PLAIN, Flavour
from portico_adapters._flavours.rows import FLAVOURS, flavour_of

__all__ = ["FLAVOURS", "PLAIN", "Flavour", "flavour_of"]
