"""Summarise a text file with a model behind a Portico gateway, over gRPC.

    python summarise.py report.txt --model gpt-4o --core localhost:50051

A long text is cut into parts, the parts are summarised side by side, and the summary of the summaries is
written to standard output as it is made. Ctrl-C stops the models too. PORTICO_API_KEY holds the key for
the gateway, where it wants one. Exit status: 0 done, 1 failed, 75 failed but worth a repeat later,
130 interrupted.
"""

import argparse
import asyncio
import os
import sys
import time
import uuid
from pathlib import Path

from portico.client import APIError, AsyncClient, RateLimitError, UnavailableError, system, user

#: Characters in a part: about 3,000 tokens, which any model has room for.
PART = 12_000

#: Parts that are summarised at the same time.
AT_ONCE = 4

NOTES = system("Summarise this part of a longer text in five sentences at most. Add nothing.")
SUMMARY = system("Summarise the text in one paragraph. Add nothing.")


class Summary:
    """One job: its calls share a deadline, and request ids that tell them apart in the gateway's log."""

    def __init__(self, client: AsyncClient, model: str, seconds: float) -> None:
        self._client = client
        self._model = model
        self._deadline = time.monotonic() + seconds
        self._job = uuid.uuid4().hex[:12]
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def write(self, text: str) -> None:
        """Write the summary of ``text`` to standard output, piece by piece."""
        parts = parts_of(text)
        if len(parts) > 1:
            text = "\n\n".join(await self._notes(parts))
        stream = self._client.stream(
            self._model, [SUMMARY, user(text)], timeout=self._left(), request_id=f"{self._job}-summary"
        )
        # Leaving the block, by whatever way, stops the model.
        async with stream:
            async for piece in stream.text():
                sys.stdout.write(piece)
                sys.stdout.flush()
        sys.stdout.write("\n")
        if stream.receipt is not None:
            served, usage = stream.receipt.served, stream.receipt.usage
            sys.stderr.write(f"written by {served.backend}/{served.model}, {usage.total_tokens} tokens\n")

    async def _notes(self, parts: list[str]) -> list[str]:
        try:
            # The first failure cancels the other calls, and with them their models.
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._note(*part)) for part in enumerate(parts)]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _note(self, number: int, part: str) -> str:
        async with self._slots:
            answer = await self._client.chat(
                self._model,
                [NOTES, user(part)],
                timeout=self._left(),
                request_id=f"{self._job}-part-{number}",
            )
        return answer.text

    def _left(self) -> float:
        return self._deadline - time.monotonic()


def parts_of(text: str, size: int = PART) -> list[str]:
    """Cut ``text`` into parts of at most ``size`` characters, after the end of a line where there is one."""
    parts = []
    while len(text) > size:
        cut = text.rfind("\n", 0, size) + 1 or size
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


async def run(options: argparse.Namespace) -> None:
    """Do the job that the command line asks for."""
    text = options.file.read_text(encoding="utf-8", errors="replace")
    async with AsyncClient(options.core, api_key=os.environ.get("PORTICO_API_KEY")) as client:
        await Summary(client, options.model, options.timeout).write(text)


def main() -> int:
    parser = argparse.ArgumentParser(description="Summarise a text file with a model behind a gateway.")
    parser.add_argument("file", type=Path, help="a text file")
    parser.add_argument("--model", required=True, help="a model that the gateway routes")
    parser.add_argument("--core", default="localhost:50051", help="the gateway (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for all (default: %(default)s)")
    try:
        asyncio.run(run(parser.parse_args()))
    except (RateLimitError, UnavailableError) as error:
        when = f" Try again in {error.retry_after:g} s." if error.retry_after else ""
        sys.stderr.write(f"summarise: {error}{when}\n")
        return os.EX_TEMPFAIL
    except (APIError, OSError) as error:
        sys.stderr.write(f"summarise: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
