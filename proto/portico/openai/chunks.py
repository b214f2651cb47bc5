"""Streamed answers: OpenAI's ``chat.completion.chunk`` objects <-> StreamResponse.

This is the hot path. The plain chunk (one choice, text alone) has hand-written code in both
directions; any other goes by the tables.
"""

from portico.openai._chunk_parser import ChunkParser
from portico.openai._chunk_renderer import ChunkRenderer

__all__ = ["ChunkParser", "ChunkRenderer"]
