"""The body of a call's request: an SDP offer alone, or a form with the fields `sdp` and `session` (RFC 7578)."""

from email import policy
from email.parser import BytesParser

from starlette.requests import Request

from deployments.runtime.errors import InvalidRequest, TooLarge

MAX_BODY_BYTES = 2**16
_FIELDS = ("sdp", "session")


async def read_fields(request: Request) -> dict[str, str]:
    """`sdp`, and `session` if it was sent. Raises InvalidRequest, TooLarge."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/sdp":
        return {"sdp": _text(await _body(request), "sdp")}
    if kind != "multipart/form-data":
        raise InvalidRequest(
            "Send the SDP offer as application/sdp, or as multipart/form-data with the fields 'sdp' and 'session'.",
            "unsupported_content_type",
            "Content-Type",
        )
    fields = _form(content_type, await _body(request))
    if "sdp" not in fields:
        raise InvalidRequest("Missing required parameter: 'sdp'.", "missing_required_parameter", "sdp")
    return fields


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"The body may have {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _form(content_type: str, body: bytes) -> dict[str, str]:
    # Python's parser of mail reads forms too, so that no other package is needed.
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    if not message.is_multipart() or message.defects:
        raise InvalidRequest("The form cannot be read: its boundary is missing or wrong.", "invalid_form")
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if name not in _FIELDS or name in fields:
            raise InvalidRequest(f"Unknown parameter: '{str(name)[:64]}'.", "unknown_parameter", str(name)[:64])
        content = part.get_payload(decode=True)
        fields[str(name)] = _text(content if isinstance(content, bytes) else b"", str(name))
    return fields


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{name} is not UTF-8.", param=name) from error
