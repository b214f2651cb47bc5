"""Container health check of the facade: exit status 0 while the process answers.

Asks /livez at the address given, or at this container's PORT. A core that is away does not make a
facade unhealthy: starting the facade again would not bring the core back.
"""

import os
import sys
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener


def main(address: str = f"localhost:{os.environ.get('PORT') or 8000}") -> str | None:
    """Return None for a healthy facade, else what is wrong."""
    try:
        # HTTP_PROXY in the environment is for the way out, not for this.
        build_opener(ProxyHandler({})).open(f"http://{address}/livez", timeout=3).close()
    except (OSError, HTTPException) as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
