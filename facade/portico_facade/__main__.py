"""``python -m portico_facade``: the command line, for those who have no ``portico`` on their path."""

import sys

from portico_facade.cli import main

if __name__ == "__main__":
    sys.exit(main())
