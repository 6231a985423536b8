"""One log line per event: level, logger, event name, then key=value pairs."""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class KeyValueFormatter(logging.Formatter):
    """Puts what was given as `extra=` behind the event name, line breaks escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        pairs = " ".join(f"{name}={_plain(value)}" for name, value in extra.items())
        line = super().format(record)
        first, newline, rest = line.partition("\n")
        return f"{first} {pairs}{newline}{rest}" if pairs else line


def _plain(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")[:500]
