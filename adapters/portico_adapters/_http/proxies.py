"""The proxy that the environment names for a backend. Reads the environment; opens nothing."""

import os
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from portico_adapters._http.origin import Origin, origin_of


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and what it is told with each request that it reads."""

    origin: Origin
    #: Value of ``proxy-authorization``; empty: none.
    authorization: str


def proxy_for(url: SplitResult) -> Proxy | None:
    """Return the proxy for ``url``; None: it is reached directly. Raise ValueError for one that cannot serve.

    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY count, in capitals or not.
    """
    found = getproxies()
    kind = url.scheme if found.get(url.scheme) else "all"
    address = found.get(kind)
    if not address or _excepted(url):
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme not in ("http", "https") or not proxy.hostname:
        variable = next((name for name in os.environ if name.lower() == f"{kind}_proxy"), "the system")
        raise ValueError(f"{variable} names a {proxy.scheme} proxy; only http and https ones serve")
    userinfo = proxy.netloc.rpartition("@")[0]
    authorization = "Basic " + b64encode(unquote_to_bytes(userinfo)).decode() if userinfo else ""
    return Proxy(origin_of(proxy), authorization)


def _excepted(url: SplitResult) -> bool:
    # As it stands in the URL, with its port, and as NO_PROXY has IPv6 addresses as a rule: without brackets.
    return any(map(proxy_bypass, (url.netloc.rpartition("@")[2], url.hostname or "")))
