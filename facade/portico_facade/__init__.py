"""The HTTP facade: OpenAI's REST and SSE in front, a ``Gateway`` behind. And the command line."""
