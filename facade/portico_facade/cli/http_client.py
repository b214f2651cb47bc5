"""As much of an OpenAI client as ``portico chat --http`` needs, of the standard library alone."""

import contextlib
import http.client
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from portico_facade.cli.common import UsageError

#: Seconds without a byte. A facade sends a comment after 15 s of silence.
_SILENCE: Final = 60.0

_CONNECTIONS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class HttpError(Exception):
    """A call failed; its message says why."""


class HttpClient:
    """Calls one server that speaks OpenAI's API."""

    def __init__(self, url: str, key: str | None) -> None:
        """Dial nothing yet. ``url``: with or without the ``/v1`` at its end; raises UsageError."""
        parts = urlsplit(url)
        if parts.scheme not in _CONNECTIONS or not parts.hostname:
            raise UsageError(f"--http {url} is no URL such as http://localhost:8000")
        self._url = url
        self._connection = _CONNECTIONS[parts.scheme](parts.netloc, timeout=_SILENCE)
        self._base = parts.path.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def models(self) -> list[str]:
        """Return the names of the models that the server lists."""
        with self._asked("GET", "/models") as answer:
            return [model["id"] for model in json.load(answer)["data"]]

    def chat(self, model: str, messages: Sequence[Mapping[str, str]]) -> Iterator[str]:
        """Give the pieces of a streamed answer's text; raise HttpError where it does not end whole."""
        body = {"model": model, "messages": messages, "stream": True}
        with self._asked("POST", "/chat/completions", json.dumps(body)) as answer:
            for data in events(answer):
                if data == "[DONE]":
                    return
                chunk = json.loads(data)
                if "error" in chunk:
                    raise HttpError(_message(chunk))
                for choice in chunk.get("choices", ()):
                    delta = choice.get("delta", {})
                    yield delta.get("content") or delta.get("refusal") or ""
        raise HttpError("the answer broke off before its end")

    @contextlib.contextmanager
    def _asked(self, method: str, path: str, body: str | None = None) -> Iterator[http.client.HTTPResponse]:
        """Send a request; give its answer, or raise HttpError where that is an error."""
        try:
            self._connection.request(method, self._base + path, body, self._headers)
            answer = self._connection.getresponse()
            if answer.status != 200:
                raise HttpError(f"{_message(_json(answer.read()))} (HTTP {answer.status})")
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise HttpError(f"{self._url}: {error or type(error).__name__}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HttpError(f"{self._url} does not answer as OpenAI's API does") from error
        finally:
            self._connection.close()


def events(lines: Iterable[bytes]) -> Iterator[str]:
    """Give the data of server-sent events (the HTML standard, section 9.2.6)."""
    data: list[str] = []
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not name and not value and data:
            yield "\n".join(data)
            data = []


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _message(body: Any) -> str:
    """Return what an error's body says."""
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "the server gave no reason")
