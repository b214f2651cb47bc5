"""One file or folder per backend dialect. What several of them share has a name that begins with ``_``."""
