"""HTTP to one backend: the only part of the adapters that knows an HTTP library.

What callers name by URLs is fetched by other rules: those of ``fetch``, which is imported where it is
wanted, as httpx takes long to load.

``transport`` keeps connections, ``opening`` makes them, ``connection`` speaks over one of them; httptools
parses. What HTTP clients usually do beside that is decided here:

- Time: a connection must be there within ``Limits.connect_seconds``. There is no read timeout: the
  core ends attempts that are silent, and learns from ``alive`` which are not.
- TLS certificates are verified, against certifi's or those that SSL_CERT_FILE or SSL_CERT_DIR name.
- Proxies come from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, read when the client is made.
- Redirects are not followed, cookies not kept, ~/.netrc not read.
- Answers are asked for as they are (``accept-encoding: identity``); a compressed one is an error.
- A kept connection that the backend has closed is not used. Where it closes one just as it is taken, a
  GET is repeated and nothing else: whether to repeat what may have been served is the core's affair.
"""

from portico_adapters._http.answer import Answer
from portico_adapters._http.budget import Budget, UnfetchableError
from portico_adapters._http.client import HttpClient

__all__ = ["Answer", "Budget", "HttpClient", "UnfetchableError"]
