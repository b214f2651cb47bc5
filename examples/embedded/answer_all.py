"""Answer the questions on standard input, a line each, through a gateway that lives inside this program.

    python answer_all.py --config portico.yaml --model gpt-4o < questions.txt

Without --config the environment makes the gateway (OPENAI_API_KEY, OLLAMA_URL, …). Answers come in the order
of the questions. Exit status: 0 all answered, 1 some were not, 2 the gateway could not start.
"""

import argparse
import asyncio
import sys

import openai

from portico_facade.embedded import ConfigError, EmbeddedGateway

#: Questions that are asked at the same time.
AT_ONCE = 8


async def main(options: argparse.Namespace) -> int:
    """Start a gateway, ask it everything, stop it."""
    questions = [line.strip() for line in sys.stdin if line.strip()]
    slots = asyncio.Semaphore(AT_ONCE)
    failed = 0
    # Port 0: the machine chooses one, so that any number of these programs run side by side.
    async with (
        EmbeddedGateway(options.config, http="127.0.0.1:0") as gateway,
        openai.AsyncOpenAI(base_url=gateway.url, api_key="none") as client,
    ):

        async def answer(question: str) -> str:
            async with slots:
                asked = await client.chat.completions.create(
                    model=options.model, messages=[{"role": "user", "content": question}]
                )
            return asked.choices[0].message.content or ""

        answers = await asyncio.gather(*map(answer, questions), return_exceptions=True)
    for question, result in zip(questions, answers, strict=True):
        if isinstance(result, openai.APIError):
            failed += 1
            print(f"{question}: failed: {result.message}", file=sys.stderr)
        elif isinstance(result, BaseException):
            raise result
        else:
            print(f"{question}: {result}")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Answer the questions on standard input, a line each.")
    parser.add_argument("--config", metavar="FILE", help="a gateway's configuration")
    parser.add_argument("--model", default="dummy/echo-1", help="(default: %(default)s)")
    try:
        sys.exit(asyncio.run(main(parser.parse_args())))
    except (ConfigError, OSError) as error:
        print(f"no gateway: {error}", file=sys.stderr)
        sys.exit(2)
