"""Who calls: signatures as AWS checks them, keys, and where credentials come from."""

import asyncio
import dataclasses
import functools
import json
import subprocess
import sys
from contextlib import aclosing, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.config import Config

from portico.adapter import Limits
from portico.errors import ErrorClass, GatewayError
from portico.secret import Secret
from portico.testing.upstream import Request, Upstream
from portico.testing.wire import answer, streamed
from portico.v1.headers_pb2 import Header
from portico_adapters.bedrock import BedrockAdapter
from portico_adapters.bedrock.settings import BedrockSettings
from tests.adapters.bedrock.fixtures import CALL, KEYS, frames_of, read, settings_for

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a b+c~é"
MODELS = [CALL.model, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN]
NO_KEYS: dict[str, Any] = {"access_key_id": None, "secret_access_key": None}


@pytest.fixture(autouse=True)
def _nobodys_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of whoever runs this, and no question to a machine's metadata."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


async def sent(settings: BedrockSettings, model: str = CALL.model, headers: Any = ()) -> Request:
    """Return the request that a chat makes."""
    async with Upstream(answer(read("text.json"))) as upstream:
        at = dataclasses.replace(settings, url=upstream.url)
        adapter = BedrockAdapter("aws", at, Limits())
        await adapter.chat(dataclasses.replace(CALL, model=model, headers=headers))
        await adapter.aclose()
        (request,) = upstream.requests
        return request


async def sent_by_boto3(model: str, body: bytes) -> Request:
    """Return the request of AWS's own client for the same body."""
    async with Upstream(answer(read("text.json"))) as upstream:
        await asyncio.to_thread(_converse, upstream.url, model, body)
        (request,) = upstream.requests
        return request


def _converse(url: str, model: str, body: bytes) -> None:
    session = boto3.Session("AKIDEXAMPLE", "wJalrXUtnFEMI", "token", region_name="us-east-1")
    config = Config(retries={"max_attempts": 0}, proxies={}, signature_version="v4")
    with closing(session.client("bedrock-runtime", endpoint_url=url, config=config)) as client:
        client.converse(modelId=model, **json.loads(body))


def proof(request: Request) -> dict[str, str]:
    """Return what a request proves itself by: the parts of its Authorization, and its path."""
    kind, _, parts = request.headers["authorization"].partition(" ")
    told = dict(part.split("=", 1) for part in parts.split(", "))
    return {"kind": kind, "path": request.path, **told}


@pytest.mark.parametrize("model", MODELS)
async def test_requests_are_signed_as_aws_signs_them(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path and signature are those of AWS's own client: it too encodes colons and slashes, and signs that."""
    moment = datetime.now(UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: moment)
    settings = settings_for(session_token=Secret("token"))
    ours = await sent(settings, model)
    theirs = await sent_by_boto3(model, ours.body)
    # The signature covers the host, and each server has a port of its own.
    assert resigned(ours, theirs) == proof(theirs)["Signature"]
    assert ours.path == theirs.path
    assert {**proof(ours), "Signature": "", "SignedHeaders": ""} == {
        **proof(theirs),
        "Signature": "",
        "SignedHeaders": "",
    }
    assert ours.headers["x-amz-security-token"] == "token"


def resigned(ours: Request, theirs: Request) -> str:
    """Return the signature of our path under their headers and body."""
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    names = proof(theirs)["SignedHeaders"].split(";")
    headers = {name: theirs.headers[name] for name in names if not name.startswith("x-amz-")}
    url = f"http://{theirs.headers['host']}{ours.path}"
    request = AWSRequest("POST", url, headers, theirs.body)
    keys = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "token")
    botocore.auth.SigV4Auth(keys, "bedrock", "us-east-1").add_auth(request)
    return str(request.headers["Authorization"]).rpartition("Signature=")[2]


@pytest.mark.parametrize("model", MODELS)
async def test_what_arrives_is_what_was_signed(model: str) -> None:
    """The signature computed anew from the request as the server sees it, whole and streamed."""
    async with Upstream(
        streamed(frames_of("text"), content_type="application/vnd.amazon.eventstream")
    ) as upstream:
        adapter = BedrockAdapter("aws", settings_for(upstream.url), Limits())
        async with aclosing(adapter.stream(dataclasses.replace(CALL, model=model))) as messages:
            assert [message async for message in messages]
        await adapter.aclose()
        (request,) = upstream.requests
    assert request.path.endswith("/converse-stream")
    assert verified(request)
    assert verified(await sent(settings_for(), model))


def verified(request: Request) -> bool:
    """Whether a request's signature is right, as AWS finds out."""
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    told = proof(request)
    scope = told["Credential"].split("/")
    assert scope[2:] == ["us-east-1", "bedrock", "aws4_request"]
    seen = AWSRequest(
        "POST",
        f"http://{request.headers['host']}{request.path}",
        {name: request.headers[name] for name in told["SignedHeaders"].split(";") if name != "host"},
        request.body,
    )
    seen.context["timestamp"] = request.headers["x-amz-date"]
    auth = botocore.auth.SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI"), "bedrock", "us-east-1")
    text = auth.string_to_sign(seen, auth.canonical_request(seen))
    return bool(auth.signature(text, seen) == told["Signature"])


async def test_an_api_key_is_a_bearer_token() -> None:
    """Nothing is signed then, and the models' list gets it as well."""
    request = await sent(settings_for(**NO_KEYS, api_key=Secret("bedrock-api-key-x")))
    assert request.headers["authorization"] == "Bearer bedrock-api-key-x"
    assert "x-amz-date" not in request.headers


async def test_the_callers_key_goes_on_where_the_settings_say_so() -> None:
    """In place of the gateway's."""
    settings = settings_for(**NO_KEYS, credentials="caller")
    headers = [Header(name="authorization", value=b"Bearer theirs")]
    request = await sent(settings, headers=headers)
    assert request.headers["authorization"] == "Bearer theirs"


async def test_keys_are_found_where_aws_tools_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment, and in a profile of the shared files."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert proof(await sent(settings_for(**NO_KEYS)))["Credential"].startswith("AKIDENV/")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIDFILE\naws_secret_access_key = x\n")
    request = await sent(settings_for(**NO_KEYS, profile="work"))
    assert proof(request)["Credential"].startswith("AKIDFILE/")


@pytest.mark.parametrize("members", [{}, {"profile": "nobody"}])
async def test_no_keys_are_the_gateways_failure(members: dict[str, Any]) -> None:
    """Of which the log tells more."""
    with pytest.raises(GatewayError) as raised:
        await sent(settings_for(**NO_KEYS, **members))
    assert raised.value.error_class is ErrorClass.CREDENTIAL
    assert raised.value.detail


def test_botocore_is_loaded_with_the_first_call() -> None:
    """Not where an adapter is merely configured."""
    program = (
        "import sys; from tests.adapters.bedrock.fixtures import settings_for;"
        "from portico.adapter import Limits; from portico_adapters.bedrock import BedrockAdapter;"
        "BedrockAdapter('aws', settings_for(), Limits()); assert 'botocore' not in sys.modules"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"region": "Frankfurt"}, "region"),
        ({"secret_access_key": None}, "access_key_id"),
        ({"api_key": Secret("k")}, "api_key"),
        ({"profile": "work"}, "api_key"),
        ({**NO_KEYS, "session_token": Secret("t")}, "session_token"),
        ({"secret_access_key": Secret("x\n")}, "secret_access_key"),
        ({**NO_KEYS, "api_key": Secret("k"), "credentials": "caller"}, "api_key"),
    ],
)
def test_mistakes_are_told_by_name(members: dict[str, Any], named: str) -> None:
    """Before anything is called."""
    with pytest.raises(ValueError, match=f"^{named}: "):
        settings_for(**members)


def test_without_botocore_the_mistake_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway starts without it as long as no backend needs it."""
    monkeypatch.setattr("portico_adapters.bedrock.settings.find_spec", functools.partial(print, end=""))
    with pytest.raises(ValueError, match=r"pip install 'portico-gateway\[bedrock\]'"):
        settings_for(**KEYS)


def test_urls_are_awss_own_unless_told() -> None:
    """Two of them: models are called at one and listed at the other."""
    settings = BedrockSettings(region="eu-central-1")
    assert settings.runtime_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert settings.control_url == "https://bedrock.eu-central-1.amazonaws.com"
    assert settings_for("http://proxy").control_url == "http://proxy"
