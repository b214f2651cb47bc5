"""Mistakes in a configuration, of which all are told at once."""


class ConfigError(Exception):
    """Mistakes in the configuration, a line for each: file, line of the file, key, problem, remedy."""


class Mistakes:
    """Collects the mistakes of ``with`` blocks, so that all are told at once."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ConfigError):
            self._messages.append(str(error))
        return isinstance(error, ConfigError)

    def add(self, mistake: ConfigError) -> None:
        """Collect a mistake that stops nothing else."""
        self._messages.append(str(mistake))

    def report(self) -> None:
        """Raise what was collected, if anything was."""
        if self._messages:
            # A file that is no YAML fails all of its readers in the same words.
            raise ConfigError("\n".join(dict.fromkeys(self._messages)))
