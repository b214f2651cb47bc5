"""One file per backend dialect; ``_http`` and ``_sse`` are what they share."""
