"""Every error that Parley raises on purpose.

    ParleyError
    ├── UserError                  the request is at fault; its message says what to do
    │   ├── InvalidRequest         400  invalid_request_error
    │   ├── Unauthorized           401  invalid_request_error
    │   ├── Forbidden              403  invalid_request_error
    │   ├── NotFound               404  invalid_request_error
    │   ├── Conflict               409  invalid_request_error
    │   └── TooLarge               413  invalid_request_error
    ├── ServerFull                 429  rate_limit_error    retry later
    ├── StageError                 a stage of the graph is at fault
    │   ├── StageUnavailable       503  server_error        retry: no replica, or it died
    │   ├── StageTimeout           504  server_error        retry: no answer within the deadline
    │   ├── StateLost              503  server_error        retry after sending the session's state again
    │   └── EngineFailed           500  server_error        no retry: the engine raised
    ├── StoreUnavailable           503  server_error        retry later: the database does not answer
    └── ConfigError                500  server_error        refused at start

Each carries whether a retry can help, its HTTP status, its Realtime `error.type` and a short `code`.
Errors cross between replicas by pickle, so they are built from their message, `code` and `param` alone.
"""

from typing import ClassVar


class ParleyError(Exception):
    """Base of the hierarchy: `message` is for people, `code` for programs, `param` names the field at fault."""

    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500
    realtime_type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "server_error"

    def __init__(self, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code, param)
        self.message = message
        self.code = code or self.default_code
        self.param = param

    def __str__(self) -> str:
        return self.message


class UserError(ParleyError):
    """The request is at fault."""

    http_status = 400
    realtime_type = "invalid_request_error"
    default_code = "invalid_value"


class InvalidRequest(UserError):
    """A field is missing, unknown or has a value that is not allowed."""


class Unauthorized(UserError):
    """No key, or one that is not known."""

    http_status = 401
    default_code = "invalid_api_key"


class Forbidden(UserError):
    """Known, but not allowed: a wrong `Origin`, say."""

    http_status = 403
    default_code = "forbidden"


class NotFound(UserError):
    """The thing named in the request does not exist."""

    http_status = 404
    default_code = "not_found"


class Conflict(UserError):
    """The request does not fit the present state."""

    http_status = 409
    default_code = "conflict"


class TooLarge(UserError):
    """Over a stated limit."""

    http_status = 413
    default_code = "too_large"


class ServerFull(ParleyError):
    """Admission refused; the sessions inside keep their quality."""

    retryable = True
    http_status = 429
    realtime_type = "rate_limit_error"
    default_code = "server_full"


class StageError(ParleyError):
    """A stage of the graph failed."""


class StageUnavailable(StageError):
    """No replica answered: none is ready, or the one that had the call died."""

    retryable = True
    http_status = 503
    default_code = "stage_unavailable"


class StageTimeout(StageError):
    """The deadline passed without an answer."""

    retryable = True
    http_status = 504
    default_code = "stage_timeout"


class StateLost(StageError):
    """The replica does not know this session: send what rebuilds it."""

    retryable = True
    http_status = 503
    default_code = "state_lost"


class EngineFailed(StageError):
    """The engine itself raised; the same call would fail again."""

    default_code = "engine_failed"


class StoreUnavailable(ParleyError):
    """The store's database does not answer; conversations go on, and are written when it does."""

    retryable = True
    http_status = 503
    default_code = "store_unavailable"


class ConfigError(ParleyError):
    """A configuration that cannot work, refused at start."""

    default_code = "config_error"
