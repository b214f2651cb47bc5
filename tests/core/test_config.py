"""The core's configuration: what a file makes, and what is said of every mistake in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from portico.config import Url
from portico.gateway import CallContext
from portico.secret import Secret
from portico_core.adapters import installed
from portico_core.candidates import Candidate, Member
from portico_core.config import Concurrency, Config, ConfigError, Grpc, Key, Timeouts, load
from portico_core.policy import ByHeader, Policy
from portico_core.route_table import route_rows
from tests.support.core import ScriptedAdapter, ask, over_grpc


@dataclass(frozen=True)
class Settings:
    url: Url
    api_key: Secret | None = None


class Fake(ScriptedAdapter):
    """An adapter with settings like a real one's."""

    Settings = Settings


def missing() -> type[ScriptedAdapter]:
    raise ModuleNotFoundError("No module named 'boto3'")


ADAPTERS = {"openai": lambda: Fake, "bedrock": missing}

WHOLE = """\
http: {listen: ${NOT_THE_CORES}}
grpc: {listen: ":50052", drain: 1m, max_calls: 9}
timeouts: {silence: 20s, first_content: 10s}
backends:
  local:
    dialect: openai
    url: http://localhost:8080/v1
    timeouts: {silence: 2m}
  cloud: {dialect: openai, url: https://c.example/v1, api_key: ${KEY}, models: [gpt-4o, gpt-4], limit: 2}
models:
  gpt-4: [local/qwen, cloud/gpt-4o]
  "claude-*": cloud/*
default: local/llama
"""


def loaded(tmp_path: Path, text: str, **environ: str) -> Config:
    path = tmp_path / "portico.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ, ADAPTERS)


def test_a_file_makes_a_configuration(tmp_path: Path) -> None:
    """Backends, routes and limits are what the file says; http is left to the facade."""
    config = loaded(tmp_path, WHOLE, KEY="sk-1")
    local, cloud = config.backends
    assert config.grpc == Grpc("[::]:50052", 60.0, 9)
    assert (local.name, local.dialect, local.models) == ("local", "openai", None)
    assert local.settings == Settings("http://localhost:8080/v1")
    assert local.timeouts == Timeouts(silence=120.0, first_content=10.0)
    assert cloud.settings == Settings("https://c.example/v1", Secret("sk-1"))
    assert (local.concurrency, cloud.concurrency) == (Concurrency(), Concurrency(2))
    assert cloud.timeouts == Timeouts(silence=20.0, first_content=10.0)
    assert cloud.models == ("gpt-4o", "gpt-4")
    assert "sk-1" not in repr(config)


def test_routes_are_told_in_the_order_in_which_names_resolve(tmp_path: Path) -> None:
    """The rows say name, candidates and where it stands; what never applies is left out."""
    file = str(tmp_path / "portico.yaml")
    rows = route_rows(loaded(tmp_path, WHOLE, KEY="sk-1"))
    assert [(name, targets, place.removeprefix(file)) for name, targets, place in rows] == [
        ("gpt-4", "local/qwen, cloud/gpt-4o", ":11"),
        ("local/…", "local", ":5"),
        ("cloud/…", "cloud", ":9"),
        ("claude-*", "cloud/*", ":12"),
        ("gpt-4o", "cloud/gpt-4o", ":9"),
        ("(what local lists)", "local", ":5"),
        ("(any other)", "local/llama", ":13"),
    ]


def test_grpc_may_be_an_address_alone(tmp_path: Path) -> None:
    """The short form stands for the address."""
    assert loaded(tmp_path, "grpc: 127.0.0.1:1\n" + BACKEND).grpc == Grpc("127.0.0.1:1")


def test_the_admin_port_is_shut_unless_it_is_named(tmp_path: Path) -> None:
    """Nobody guards a port that is open by default."""
    assert loaded(tmp_path, BACKEND).admin is None
    assert loaded(tmp_path, BACKEND + "admin: 127.0.0.1:9090").admin == "127.0.0.1:9090"


async def test_without_a_file_there_is_the_dummy_backend() -> None:
    """The first run needs nothing, and answers."""
    config = load(None, {})
    assert [(backend.name, backend.dialect) for backend in config.backends] == [("dummy", "dummy")]
    async with over_grpc(config) as gateway:
        response = await gateway.chat(ask("dummy/echo-1"), CallContext(""))
    assert response.completion.choices[0].message.content == "hi"


def test_our_own_adapters_are_installed() -> None:
    """Entry points name them, as they name third parties'."""
    assert {"dummy", "openai"} <= set(installed())


async def test_namespaces_keys_and_allowed_models_are_read(tmp_path: Path) -> None:
    """Names of keys are for the log; a list has none."""
    more = """
namespaces: {azure: [b, c], one: c}
allowed_models: [gpt-4, "claude-*"]
keys: {team-a: ${A}, team-b: key2}
"""
    backends = (
        "backends: {b: {dialect: openai, url: http://h, models: [x]}, c: {dialect: openai, url: http://h}}"
    )
    config = loaded(tmp_path, backends + more, A="key1")
    assert config.routes.namespaces == {"azure": (Member("b", ("x",)), Member("c")), "one": (Member("c"),)}
    assert config.routes.allowed == ("gpt-4", "claude-*")
    assert config.keys == (Key("team-a", Secret("key1")), Key("team-b", Secret("key2")))
    assert [key.name for key in loaded(tmp_path, backends + "\nkeys: [k, l]").keys] == ["key-1", "key-2"]
    admins = loaded(tmp_path, backends + "\nadmin_keys: {operator: key3}")
    assert (admins.keys, admins.admin_keys) == ((), (Key("operator", Secret("key3")),))


BACKEND = "backends: {b: {dialect: openai, url: http://h}}\n"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["1: backends is missing. For a first try, write `backends: {dummy: {dialect: dummy}}`."]),
        ("backends:\n", ["1: backends is missing."]),
        (BACKEND + "model: {}", ["2: model: is not known. Did you mean models?"]),
        (BACKEND + "grpc: 5s", ["2: grpc: expected an address such as 0.0.0.0:50051, :50051 or unix:"]),
        (BACKEND + "grpc: {lisen: x}", ["2: grpc.lisen: is not known. Did you mean listen?"]),
        (
            "backends: {b: {dialect: openai, url: http://h, limit: 0}}",
            ["1: backends.b.limit: expected 1 or more"],
        ),
        ("backends: {b: {dialect: openai, url: http://h, queue: 5}}", ["1: backends.b.queue: nobody waits"]),
        (
            "backends: {b: {dialect: openai, url: http://h, limit: 1, queue: -1}}",
            ["1: backends.b.queue: expected 0 or more"],
        ),
        (BACKEND + "grpc: {max_calls: 0}", ["2: grpc.max_calls: expected 1 or more"]),
        (BACKEND + "timeouts: {silence: 30}", ["2: timeouts.silence: expected a duration such as 5s"]),
        ("backends: {b/c: {dialect: openai}}", ["1: backends.b/c: is no name for a backend."]),
        (
            "backends:\n  b:\n    url: http://h",
            ["2: backends.b: dialect is missing. Add `dialect: …`, one of bedrock, openai."],
        ),
        (
            "backends: {b: {dialect: opnai}}",
            ["1: backends.b.dialect: no adapter speaks opnai. Did you mean openai?"],
        ),
        (
            "backends: {b: {dialect: bedrock}}",
            ["1: backends.b.dialect: the adapter cannot be loaded (No module named 'boto3')"],
        ),
        (
            """
backends:
  local:
    dialect: openai
    url: 17
    api_kee: x
    models: m
    timeouts: {total: 1}
""",
            [
                "5: backends.local.url: expected a URL such as http://localhost:8080/v1, found 17",
                "6: backends.local.api_kee: is not known. Did you mean api_key?",
                "8: backends.local.timeouts.total: expected a duration",
                "7: backends.local.models: expected a list, found m",
            ],
        ),
        ("backends: {b: {dialect: openai}}", ["1: backends.b: url is missing. Add `url: …` here."]),
        (
            "backends: {b: {dialect: openai, url: http://h, api_key: ${NOPE}}}",
            ["1: backends.b.api_key: the environment variable NOPE is not set."],
        ),
        (
            "backends:\n  b: {dialect: openai, url: http://h}\n  b: {}",
            ["3: backends.b: stands here for the second time, first on line 2"],
        ),
        (BACKEND + "namespaces:\n  n: [b, c]", ["3: namespaces.n[1]: no backend is called c. "]),
        (BACKEND + "namespaces:\n  a/b: b", ["3: namespaces.a/b: is no name for a namespace."]),
        (
            BACKEND.replace("}}", "}, c: {dialect: openai, url: http://h}}") + "namespaces: {b: c}",
            ["2: namespaces.b: is the name of a backend that is not in it."],
        ),
        (BACKEND + "allowed_models: x", ["2: allowed_models: expected a list, found x"]),
        (BACKEND + "admin: here", ["2: admin: expected an address such as"]),
        (BACKEND + "admin: unix:/x", ["2: admin: expected HOST:PORT, found unix:/x. Scrapers speak TCP."]),
        (BACKEND + "keys: x", ["2: keys: expected a list or a mapping (name: key), found x"]),
        (BACKEND + "keys: []", ["2: keys: names no key. Add one, or leave `keys` out."]),
        (BACKEND + "admin_keys: []", ["2: admin_keys: names no key. Add one, or leave `admin_keys` out."]),
        (BACKEND + "admin_keys: [a b]", ["2: admin_keys: key-1: a key is printable ASCII without blanks"]),
        (BACKEND + "keys: {}", ["2: keys: names no key."]),
        (BACKEND + "keys: [a b]", ["2: keys: key-1: a key is printable ASCII without blanks"]),
        (BACKEND + "models:\n  m: [b/x, c/y]", ["3: models.m[1]: no backend is called c. "]),
        (BACKEND + "models:\n  m: b", ["3: models.m: expected BACKEND/MODEL, found b"]),
        (
            BACKEND + "models:\n  m: []",
            ["3: models.m: has no candidate. Write BACKEND/MODEL, or a list of them."],
        ),
        (
            BACKEND + "models:\n  m: {unsupported: drop}",
            ["3: models.m: candidates is missing. Add `candidates: BACKEND/MODEL` here."],
        ),
        (
            BACKEND + "models:\n  m:\n    candidates: b/x\n    unsupported: ignore\n    unkown: allow",
            ["6: models.m.unkown: is not known. Did you mean unknown?"],
        ),
        (
            BACKEND + "models:\n  m:\n    candidates: b/x\n    unsupported: ignore",
            ["5: models.m.unsupported: expected refuse or drop, found ignore"],
        ),
        (
            BACKEND + "models:\n  m:\n    candidates: [{weight: 1}, {model: b/x, weight: 2}]",
            ["4: models.m.candidates[0]: model is missing. Add `model: BACKEND/MODEL` here."],
        ),
        (
            BACKEND + "models:\n  m:\n    - {model: b/x, weight: 2}",
            ["4: models.m[0].weight: means nothing in an order. Add `balance: weighted`"],
        ),
        (
            BACKEND + "models:\n  m:\n    - {model: b/x, context: 128 k}",
            ["4: models.m[0].context: expected a number of tokens such as 8192 or 128k, found 128 k"],
        ),
        (
            BACKEND + "models:\n  m:\n    - {model: b/x, features: [imges]}",
            ["4: models.m[0].features: imges is not known. Did you mean images?"],
        ),
        (BACKEND + "models:\n  m:\n    - {model: b/x, tags: ['a,b']}", ["4: models.m[0].tags: a tag is"]),
        (BACKEND + "models:\n  m:\n    - {model: b/x, limit: 0}", ["4: models.m[0].limit: expected 1 or"]),
        (
            BACKEND + "models:\n  m: {candidates: b/x, balance: random}",
            ["3: models.m.balance: expected order, weighted or least, found random"],
        ),
        (
            BACKEND + "models:\n  m: {candidates: b/x, affinity: prompt_cache_key}",
            ["3: models.m.affinity: has no choice in an order. Add `balance: weighted`"],
        ),
        (
            BACKEND + "models:\n  m: {candidates: b/x, balance: least, affinity: user}",
            ["3: models.m.affinity: expected prompt_cache_key or {header: NAME}, found user"],
        ),
        (
            BACKEND + "models:\n  m: {candidates: b/x, balance: least, affinity: {header: X-Session}}",
            ["3: models.m.affinity.header: a header's name is written in lower case"],
        ),
        (
            BACKEND + "models:\n  m: {candidates: b/x, fallback: nn}\n  n: b/y",
            ["3: models.m.fallback: the configuration does not say what nn is. "],
        ),
        (
            BACKEND + "models:\n  m: {candidates: b/x, fallback: n}\n  n: {candidates: b/y, fallback: m}",
            [
                "3: models.m.fallback: leads back to n. Fallbacks must come to an end.",
                "4: models.n.fallback: leads back to m. Fallbacks must come to an end.",
            ],
        ),
        (
            BACKEND + "models:\n  'a-*': {candidates: b/x, fallback: a-b}",
            ["3: models.a-*.fallback: leads back to a-b. Fallbacks must come to an end."],
        ),
        (BACKEND + "models:\n  m: b/x-*", ["3: models.m: the * in x-* stands for nothing, as m has none"]),
        (BACKEND + "models:\n  '*m*': b/x", ["3: models.*m*: a model name has at most one *"]),
        (
            BACKEND + "models:\n  gpt-3.5: x/y\n  m: /y\ndefault: z/y",
            [
                '3: models."gpt-3.5": no backend is called x. Known here: b.',
                "4: models.m: expected BACKEND/MODEL, found /y",
                "5: default: no backend is called z.",
            ],
        ),
    ],
)
def test_every_mistake_is_told_with_its_line(tmp_path: Path, text: str, messages: Sequence[str]) -> None:
    """Each message names file, line, key, what is wrong, and what to do about it."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    told = str(caught.value).splitlines()
    assert len(told) == len(messages)
    for line, message in zip(told, messages, strict=True):
        assert line.startswith(f"{tmp_path / 'portico.yaml'}:{message}")


POOLED = (
    BACKEND
    + """
models:
  m:
    candidates:
      - {model: b/later, priority: 1, tags: [eu]}
      - {model: b/much, weight: 90, context: 128k, features: [images, tools]}
      - {model: b/little, weight: 10, limit: 8, queue: 4}
      - b/last
    balance: least
    affinity: {header: x-session-id}
    fallback: n
  n: [b/y, b/z]
"""
)


def test_a_candidate_may_say_more_than_its_model(tmp_path: Path) -> None:
    """A plain one says nothing; they stand in the order of their priorities."""
    routes = loaded(tmp_path, POOLED).routes
    pool = routes.resolve("m", {})
    assert pool.candidates == (
        Candidate("b", "much", weight=90, context=128_000, features=frozenset({"images", "tools"})),
        Candidate("b", "little", weight=10, limit=8, queue=4),
        Candidate("b", "last"),
        Candidate("b", "later", priority=1, tags=frozenset({"eu"})),
    )
    assert pool.policy == Policy(balance="least", affinity=ByHeader("x-session-id"), fallback="n")
    assert [[str(each) for each in then.candidates] for then in routes.after(pool)] == [["b/y", "b/z"]]
    assert {each.public for then in routes.after(pool) for each in then.candidates} == {"n"}


def test_the_table_of_routes_tells_parts_and_fallbacks(tmp_path: Path) -> None:
    """What is tried after another is behind a comma."""
    rows = {name: targets for name, targets, _ in route_rows(loaded(tmp_path, POOLED))}
    assert rows["m"] == "89% b/much + 10% b/little + 1% b/last, b/later, then n"
    assert rows["n"] == "b/y, b/z"


def test_a_model_may_say_more_than_its_candidates(tmp_path: Path) -> None:
    """One candidate or a list of them, beside the other members; what is left out has its default."""
    text = (
        BACKEND
        + "models:\n  m: {candidates: b/x, unsupported: drop}\n  n: {candidates: [b/y], unknown: refuse}"
    )
    routes = loaded(tmp_path, text).routes
    assert routes.resolve("m", {}).candidates == (Candidate("b", "x"),)
    policies = [routes.resolve(name, {}).policy for name in ("m", "n", "b/x")]
    assert policies == [Policy(unsupported="drop"), Policy(unknown="refuse"), Policy()]


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("hedge: true, broken: hold", Policy(hedge=True, broken="hold")),
        ("hedge: 800ms", Policy(hedge=0.8)),
        ("hedge: false, broken: verify", Policy(broken="verify")),
    ],
)
def test_a_model_may_hedge_and_say_what_follows_a_broken_stream(
    tmp_path: Path, written: str, policy: Policy
) -> None:
    routes = loaded(tmp_path, BACKEND + f"models:\n  m: {{candidates: b/x, {written}}}").routes
    assert routes.resolve("m", {}).policy == policy
