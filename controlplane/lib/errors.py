"""The one family of errors that the grid raises on purpose, each with a stable code."""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What went wrong in the large; the edge maps each kind to one HTTP status."""

    INVALID = "invalid"
    NOT_AUTHENTICATED = "not-authenticated"
    NOT_ALLOWED = "not-allowed"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    PRECONDITION_REQUIRED = "precondition-required"
    PRECONDITION_FAILED = "precondition-failed"
    TOO_LARGE = "too-large"
    UNSUPPORTED_FORMAT = "unsupported-format"
    TOO_MANY = "too-many"
    UNAVAILABLE = "unavailable"


class GridError(Exception):
    """Something that could not be done, with a stable code and words for the person who asked.

    Attributes:
        code: stable machine-readable name, set by each subclass.
        kind: what an edge needs to choose a status.
        detail: one sentence for a person: what was refused, why, and what to do.
        extra: further members of the problem body (counts, field names).
    """

    code = "grid-error"
    kind = ErrorKind.INVALID

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class InvalidField(GridError):
    """A value that was sent cannot be taken; the extra member `field` names it."""

    code = "invalid-field"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field, reason=reason)
        self.field = field
        self.reason = reason
