"""Azure OpenAI: OpenAI's dialect at other addresses, with the key in a header of its own.

Microsoft's reference, "Azure OpenAI in Foundry Models REST API": the classic surface has the deployment
in the path and asks for an api-version; the v1 surface is OpenAI's own below /openai/v1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote, urlsplit

from portico.adapter import Limits
from portico.errors import GatewayError
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters.openai import OpenAIAdapter, OpenAISettings


@dataclass(frozen=True, slots=True)
class AzureSettings(OpenAISettings):
    """The members of a backend of this dialect; ``url`` is the resource's root."""

    #: A date such as 2024-10-21 asks for the classic surface; preview, or none, for v1.
    api_version: str | None = None

    def __post_init__(self) -> None:
        OpenAISettings.__post_init__(self)
        if self.continues is not None:
            raise ValueError("continues: Azure begins every answer anew. Remove it here.")
        if not self.url:
            raise ValueError("url is missing. Add `url: …` here.")
        if urlsplit(self.url).path.rstrip("/").endswith(("/openai", "/v1")):
            raise ValueError("url: expected the resource's root, such as https://NAME.openai.azure.com")


class AzureAdapter(OpenAIAdapter):
    """Speaks chat completions of either surface. A model's name is that of its deployment."""

    Settings: ClassVar[type[AzureSettings]] = AzureSettings

    def __init__(self, name: str, settings: AzureSettings, limits: Limits) -> None:
        super().__init__(name, settings, limits)
        self._version = settings.api_version or ""

    async def list_models(self, _headers: Sequence[Header], /) -> Sequence[Model]:
        """Return none: with a key one can list the models that could be deployed, not those that are."""
        return ()

    @staticmethod
    def _key_header(key: str) -> Mapping[str, str]:
        return {"api-key": key}

    def _path(self, endpoint: str, model: str) -> str:
        version = self._version
        query = f"?api-version={quote(version, safe='')}" if version else ""
        if version[:1].isdigit():
            return f"/openai/deployments/{quote(model, safe='')}{endpoint}{query}"
        return f"/openai/v1{endpoint}{query}"

    def _error_of(self, status: int, body: bytes, headers: Sequence[Header]) -> GatewayError:
        error = super()._error_of(status, body, headers)
        if error.code == "DeploymentNotFound":
            # To the caller the deployment is the model: OpenAI's code is what clients look for.
            error.code, error.param = "model_not_found", "model"
        return error
