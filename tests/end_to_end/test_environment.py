"""Each seed's quick start with its own variables and no file: gateways as processes, backends on sockets."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from portico.testing.upstream import Upstream, refusing
from portico.testing.wire import answer
from tests.end_to_end.backends import asked, bearer, chat, curl, gateway, ollama_backend, openai_backend
from tests.support.processes import portico
from tests.support.seeds import CONFIG


async def test_seed_000_the_gateway_answers_and_ollama_behind_it(tmp_path: Path) -> None:
    """GATEWAY_URL, OLLAMA_URL without a scheme, AGENT_ID, CHATGPT_API_PORT: OpenAI's names are mapped."""
    async with (
        Upstream(openai_backend("from the gateway")) as remote,
        Upstream(ollama_backend("local")) as ollama,
    ):
        env = {
            "HOST": "127.0.0.1",
            "CHATGPT_API_PORT": "0",
            "GATEWAY_URL": remote.url,
            "OLLAMA_URL": ollama.url.removeprefix("http://"),
            "AGENT_ID": "chatgpt-api-adapter",
            "LOG_LEVEL": "debug",
        }
        async with gateway(tmp_path, env, listen=None) as running, curl(running) as client:
            body = (await client.post("/v1/chat/completions", json=chat("gpt-4", max_tokens=500))).json()
            assert (body["model"], body["choices"][0]["message"]["content"]) == ("gpt-4", "from the gateway")
            (request,) = asked(remote)
            assert (request.path, request.json()["model"]) == ("/v1/chat/completions", "qwen2.5:32b")
            assert request.headers["user-agent"] == "chatgpt-api-adapter"

            remote.serve(answer(b"{}", 503))
            trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
            answered = await client.post("/v1/chat/completions", json=chat("gpt-4-mini"), headers=trace)
            body = answered.json()
            assert (body["model"], body["choices"][0]["message"]["content"]) == ("gpt-4-mini", "local")
            (request,) = asked(ollama)
            assert request.headers["user-agent"] == "chatgpt-api-adapter"
            assert request.headers["traceparent"] == trace["traceparent"]
            assert (request.path, request.json()["model"]) == ("/api/chat", "qwen2.5:3b")

            models = [each["id"] for each in (await client.get("/v1/models")).json()["data"]]
            assert models[:4] == ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-4-mini"]
            assert "qwen2.5:3b" in models
            assert (await client.get("/health")).json()["gateway"]["uptime"] > 0


async def test_seed_000_a_gateway_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    async with Upstream(ollama_backend("local")) as ollama:
        with refusing() as nobody:
            env = {"GATEWAY_URL": nobody, "OLLAMA_URL": ollama.url}
            async with gateway(tmp_path, env) as running, curl(running) as client:
                for model in ("gpt-4", "llama3.2"):
                    answered = await client.post("/v1/chat/completions", json=chat(model))
                    assert answered.json()["choices"][0]["message"]["content"] == "local"


async def test_seed_002_headers_reach_the_dummy(tmp_path: Path) -> None:
    """PORT, HOST and LOG_LEVEL alone: the dummy answers, and shows the tag that it was sent."""
    env = {"HOST": "127.0.0.1", "PORT": "0", "CHATGPT_API_PORT": "1", "LOG_LEVEL": "info"}
    async with gateway(tmp_path, env, listen=None) as running, curl(running) as client:
        headers = {**bearer("upstream-secret"), "x-dummy-tag": "tutorial"}
        body = (await client.post("/v1/chat/completions", json=chat("dummy/echo-1"), headers=headers)).json()
        assert body["choices"][0]["message"]["content"] == "Hello"
        assert body["system_fingerprint"] == "dummy-tutorial"
        streaming = chat("dummy/story-1", stream=True)
        text = (
            await client.post("/v1/chat/completions", json=streaming, headers={"x-dummy-tag": "stream-demo"})
        ).text
        assert '"system_fingerprint":"dummy-stream-demo"' in text


async def test_seed_003_config_keys_and_namespaces(tmp_path: Path) -> None:
    """CONFIG word for word, API_KEYS: each name goes to its backend with that backend's key."""
    async with (
        Upstream(openai_backend("openai")) as openai,
        Upstream(openai_backend("deepseek")) as deepseek,
        Upstream(openai_backend("azure")) as azure,
    ):
        config = (
            CONFIG.replace("https://api.openai.com", openai.url)
            .replace("https://api.deepseek.com", deepseek.url)
            .replace("https://***.openai.azure.com", azure.url)
        )
        async with (
            gateway(tmp_path, {"CONFIG": config, "API_KEYS": "key1,key2"}) as running,
            curl(running) as client,
        ):
            for model, key, says in (
                ("gpt-4o", "key1", "openai"),
                ("default/gpt-4o-mini", "key1", "openai"),
                ("deepseek-coder", "key2", "deepseek"),
                ("azure/gpt-4o", "key2", "azure"),
            ):
                answered = await client.post("/v1/chat/completions", json=chat(model), headers=bearer(key))
                assert answered.json()["choices"][0]["message"]["content"] == says
                assert answered.json()["model"] == model
            assert [each.headers["authorization"] for each in asked(openai)] == ["Bearer ***"] * 2
            (request,) = asked(azure)
            assert request.headers["api-key"] == "***"
            assert request.path == (
                "/openai/deployments/gpt-4o/chat/completions?api-version=2024-02-15-preview"
            )
            listed = (await client.get("/v1/models", headers=bearer("key2"))).json()["data"]
            assert [each["id"] for each in listed] == [
                *("gpt-4o", "gpt-4o-mini", "deepseek-chat", "deepseek-coder"),
                *("azure/gpt-4o", "azure/gpt-4o-mini"),
            ]
            unknown = await client.post("/v1/chat/completions", json=chat("azure/o1"), headers=bearer("key1"))
            assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")

            before = len(asked(openai))
            for headers in ({}, bearer("key3"), {"x-portico-key": "key"}):
                for refused in (
                    await client.post("/v1/chat/completions", json=chat("gpt-4o"), headers=headers),
                    await client.post(
                        "/v1/chat/completions", json=chat("gpt-4o", stream=True), headers=headers
                    ),
                    await client.get("/v1/models", headers=headers),
                    await client.get("/v1/models/gpt-4o", headers=headers),
                ):
                    assert refused.status_code == 401
                    error = refused.json()["error"]
                    assert error["code"] == "invalid_api_key"
                    assert "x-portico-key" in error["message"]
            assert len(asked(openai)) == before
            for path in ("/health", "/livez", "/readyz"):
                assert (await client.get(path)).status_code == 200


async def test_seed_004_a_made_up_key_and_allowed_models(tmp_path: Path) -> None:
    """OPENAI_API_KEY from .env, ENABLE_AUTH without API_KEY_SECRET, ALLOWED_MODELS."""
    async with Upstream(openai_backend("hi", "gpt-3.5-turbo", "gpt-4")) as upstream:
        lines = ["OPENAI_API_KEY=your_openai_api_key_here", "OPENAI_BASE_URL=http://127.0.0.1:1/not-this-one"]
        (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
        env = {
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "ENABLE_AUTH": "true",
            "ALLOWED_MODELS": "gpt-3.5-turbo,ft:mine",
        }
        async with gateway(tmp_path, env) as running, curl(running) as client:
            told = [line for line in running.process.lines if "API_KEY_SECRET is not set" in line]
            assert len(told) == 1
            key = bearer(told[0].split()[-1])
            for model in ("gpt-3.5-turbo", "ft:mine"):
                answered = await client.post("/v1/chat/completions", json=chat(model), headers=key)
                assert answered.json()["choices"][0]["message"]["content"] == "hi"
            assert asked(upstream)[0].headers["authorization"] == "Bearer your_openai_api_key_here"
            assert asked(upstream)[1].json()["model"] == "ft:mine"
            refused = await client.post("/v1/chat/completions", json=chat("gpt-4"), headers=key)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
            listed = (await client.get("/v1/models", headers=key)).json()["data"]
            assert [each["id"] for each in listed] == ["gpt-3.5-turbo"]
            anonymous = await client.post("/v1/chat/completions", json=chat("gpt-3.5-turbo"))
            assert anonymous.status_code == 401
            assert len(asked(upstream)) == 2


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CONFIG": "{"}, "CONFIG: is not JSON"),
        ({"ENABLE_AUTH": "perhaps"}, "ENABLE_AUTH: expected true or false"),
        ({"OLLAMA_URL": "http://h:1/v1"}, "OLLAMA_URL: backends.ollama.url: expected the server's root"),
    ],
)
def test_a_mistake_in_a_variable_is_told_by_its_name(
    tmp_path: Path, env: Mapping[str, str], said: str
) -> None:
    with portico("serve", env=env, cwd=tmp_path) as process:
        assert process.popen.wait(20) == 2
    assert said in process.output
    assert "Traceback" not in process.output


def test_check_prints_what_came_of_the_environment(tmp_path: Path) -> None:
    """Each route with the variable that makes it, and who may call."""
    env = {"OLLAMA_URL": "h:1", "GATEWAY_URL": "http://g", "API_KEYS": "k1,k2", "ALLOWED_MODELS": "gpt-4"}
    with portico("check", env=env, cwd=tmp_path) as process:
        assert process.popen.wait(20) == 0
    rows = [line.split() for line in process.lines]
    assert ["gpt-4", "gateway/qwen2.5:32b,", "ollama/qwen2.5:32b", "GATEWAY_URL"] in rows
    assert ["ollama/…", "ollama", "OLLAMA_URL"] in rows
    assert "callers need one of these keys: env-key-1, env-key-2, and may ask for gpt-4" in process.lines
    assert "k1" not in process.output.replace("key-1", "")
