"""OpenAI's dialect: JSON <-> messages in both directions. Pure functions, no I/O."""
