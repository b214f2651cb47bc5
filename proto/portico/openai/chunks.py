"""Streamed answers: OpenAI's chunk objects <-> the messages of a stream.

Chat is the hot path. Its plain chunk (one choice, text alone) has hand-written code in both
directions; any other goes by the tables, and so do all chunks of text completions.
"""

from portico.openai._chunk_parser import ChunkParser
from portico.openai._chunk_renderer import ChunkRenderer
from portico.openai._text_chunks import TextChunkParser, TextChunkRenderer

__all__ = ["ChunkParser", "ChunkRenderer", "TextChunkParser", "TextChunkRenderer"]
