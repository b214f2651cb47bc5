"""What environment variables make where there is no configuration file.

``document`` writes the file that the variables stand for, so that one reader checks both; each of its
lines bears the name of its variable. Pure. docs/configuration.md holds the table of all variables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from portico.config import ConfigError, Node, parse
from portico.secret import Secret
from portico_core import config_variable

#: Names that callers of OpenAI use -> the models that a gateway or an Ollama has in their place.
LOCAL_MODELS: Final[Mapping[str, str]] = {
    "gpt-4": "qwen2.5:32b",
    "gpt-4-turbo": "qwen2.5:32b",
    "gpt-3.5-turbo": "qwen2.5:14b",
    "gpt-4-mini": "qwen2.5:3b",
}

_OPENAI: Final = "https://api.openai.com/v1"
_OLLAMA_PORT: Final = 11434

_YES_OR_NO: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off", ""), False),
}


def given(environ: Mapping[str, str], name: str) -> str:
    """Return a variable without the blanks around it; empty is as good as unset."""
    return environ.get(name, "").strip()


def document(environ: Mapping[str, str]) -> Node | None:
    """Return the configuration that the environment makes. None: no variable makes any.

    Raises ConfigError where CONFIG is not what it should be.
    """
    made = _Document()
    text = given(environ, "CONFIG")
    if text:
        made.backends, made.namespaces = config_variable.sections(text)
        made.variables.update(dict.fromkeys((*made.backends, *made.namespaces), "CONFIG"))
    else:
        _single_variables(environ, made)
    return made.parsed(environ) if made.backends else None


def keys(environ: Mapping[str, str]) -> list[Secret]:
    """Return the keys that callers may show: API_KEYS, and API_KEY_SECRET with ENABLE_AUTH.

    Raises ConfigError for a list without a key.
    """
    listed = _listed(environ, "API_KEYS", "key")
    secret = given(environ, "API_KEY_SECRET")
    if secret and _auth_enabled(environ):
        listed.append(secret)
    return [Secret(key) for key in listed]


def needs_key(environ: Mapping[str, str]) -> bool:
    """Tell whether ENABLE_AUTH asks for a key, and the environment has none."""
    return _auth_enabled(environ) and not keys(environ)


def _auth_enabled(environ: Mapping[str, str]) -> bool:
    text = given(environ, "ENABLE_AUTH").lower()
    if text not in _YES_OR_NO:
        raise ConfigError(f"ENABLE_AUTH: expected true or false, found {text}")
    return _YES_OR_NO[text]


def allowed_models(environ: Mapping[str, str]) -> list[str] | None:
    """Return the names that callers may ask for. None: the environment restricts nothing.

    Raises ConfigError for a list without a name.
    """
    return _listed(environ, "ALLOWED_MODELS", "model") or None


def _listed(environ: Mapping[str, str], name: str, of: str) -> list[str]:
    text = given(environ, name)
    listed = [each.strip() for each in text.split(",") if each.strip()]
    if text and not listed:
        # Whoever set it meant to shut a door that would stay open.
        raise ConfigError(f"{name}: names no {of}. Write one, or unset it.")
    return listed


def _single_variables(environ: Mapping[str, str], made: "_Document") -> None:
    openai = _openai(environ, made)
    gateway = _gateway(environ, made)
    ollama = _ollama(environ, made)
    if given(environ, "AGENT_ID"):
        for members in made.backends.values():
            members["user_agent"] = "${AGENT_ID}"
    # A caller who asks OpenAI for gpt-4 expects gpt-4; then the gateway, with Ollama behind it.
    order = [*openai, *gateway, *ollama]
    if gateway or ollama:
        variable = "GATEWAY_URL" if gateway else "OLLAMA_URL"
        for name, local in LOCAL_MODELS.items():
            made.models[name] = [f"{each}/{name if each in openai else local}" for each in order]
            made.variables[name] = variable
    if order:
        made.namespaces["default"] = order
        made.variables["default"] = made.variables[order[0]]


def _openai(environ: Mapping[str, str], made: "_Document") -> list[str]:
    url = given(environ, "OPENAI_BASE_URL")
    has_key = bool(given(environ, "OPENAI_API_KEY"))
    if not url and not has_key:
        return []
    members = {"dialect": "openai", "url": _plain(url or _OPENAI)}
    if has_key:
        members["api_key"] = "${OPENAI_API_KEY}"
    return made.add("openai", members, "OPENAI_BASE_URL" if url else "OPENAI_API_KEY")


def _gateway(environ: Mapping[str, str], made: "_Document") -> list[str]:
    url = given(environ, "GATEWAY_URL")
    if not url:
        return []
    members: dict[str, Any] = {"dialect": "openai", "url": _plain(url)}
    if url.startswith("grpc://"):
        members = {"dialect": "portico", "target": _plain(url.removeprefix("grpc://").rstrip("/"))}
    elif not urlsplit(url).path.strip("/"):
        members["url"] = f"{_plain(url).rstrip('/')}/v1"
    return made.add("gateway", members, "GATEWAY_URL")


def _ollama(environ: Mapping[str, str], made: "_Document") -> list[str]:
    url = given(environ, "OLLAMA_URL")
    if not url:
        return []
    if "://" not in url:
        host = url.rstrip("/")
        has_port = ":" in host.rpartition("]")[2]
        url = f"http://{host}" if has_port else f"http://{host}:{_OLLAMA_PORT}"
    return made.add("ollama", {"dialect": "ollama", "url": _plain(url)}, "OLLAMA_URL")


@dataclass
class _Document:
    """A configuration file in the making."""

    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    namespaces: dict[str, list[str]] = field(default_factory=dict)
    models: dict[str, list[str]] = field(default_factory=dict)
    #: Backend, namespace or model -> the variable that makes it.
    variables: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, members: dict[str, Any], variable: str) -> list[str]:
        """Add a backend; return its name."""
        self.backends[name] = members
        self.variables[name] = variable
        return [name]

    def parsed(self, environ: Mapping[str, str]) -> Node:
        """Write the file, and read it as any other."""
        lines: list[tuple[str, str]] = []
        for section in ("backends", "namespaces", "models"):
            members = getattr(self, section)
            if members:
                lines.append((f"{section}:", "the environment"))
            # JSON is YAML, and fits a line.
            lines += [
                (f"  {_json(name)}: {_json(each)}", self.variables[name]) for name, each in members.items()
            ]
        texts, places = zip(*lines, strict=True)
        return parse("\n".join(texts), "the environment", environ, places)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _plain(text: str) -> str:
    """Return a text of a file that stands for itself, whatever variables it seems to name."""
    return text.replace("$", "$$")
