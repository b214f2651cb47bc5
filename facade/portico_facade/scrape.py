"""GET /metrics: what the facade counts, all workers of it. The core's own metrics are on its admin port."""

from portico.tallies import encoder
from portico_facade.health import Probe


class Scrape(Probe):
    """The metrics in the format that the scraper asks for."""

    route = "/metrics"

    async def get(self) -> None:
        """Answer in Prometheus' text format, or in OpenMetrics."""
        encode, kind = encoder(self.request.headers.get("accept", ""))
        self.headers["Content-Type"] = kind
        self.finish(encode(await self.facade.told()))

    head = get
