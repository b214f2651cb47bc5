"""OpenAI's official SDK for Azure as judge of Azure OpenAI."""

import functools
from typing import Final

import openai

from tests.recorded import openai_sdk
from tests.support.corpus import Case

#: Of the classic surface.
VERSION: Final = "2024-10-21"


def _connect(url: str, _: Case) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(azure_endpoint=url, api_version=VERSION, api_key="k", max_retries=0, timeout=30)


judge = functools.partial(openai_sdk.judge, connect=_connect)
