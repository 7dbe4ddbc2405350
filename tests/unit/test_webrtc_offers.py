"""What is made of an offer, and what is said about one that cannot be answered; nothing is left running."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest

from deployments.runtime.errors import InvalidRequest
from serve_app.gateway.webrtc.form import MAX_BODY_BYTES
from serve_app.gateway.webrtc.offer import read_offer
from tests.scripted_sessions import SessionMaker
from tests.webrtc_caller import Callee, Caller

_COMMON = ["c=IN IP4 0.0.0.0", "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22, "a=setup:actpass", "a=rtcp-mux"]
_FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
HEAD = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE v a d"]
VIDEO = [
    "m=video 9 UDP/TLS/RTP/SAVPF 98 102 103",
    *_COMMON,
    _FINGERPRINT,
    "a=mid:v",
    "a=recvonly",
    "a=rtpmap:98 VP8/90000",
    "a=rtpmap:102 H264/90000",
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
    "a=rtpmap:103 H264/90000",
    "a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
]
AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
    *_COMMON,
    _FINGERPRINT,
    "a=mid:a",
    "a=sendrecv",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:0 PCMU/8000",
    "a=candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host",
    "a=candidate:2 1 udp 2113937151 0a1b.local 50000 typ host",
    "a=candidate:3 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
    "a=end-of-candidates",
]
DATA = [
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    *_COMMON[:-1],
    _FINGERPRINT,
    "a=mid:d",
    "a=sctp-port:5000",
]


def sdp(*parts: list[str]) -> str:
    return "\r\n".join(line for part in (HEAD, *parts) for line in part) + "\r\n"


def without(part: list[str], begin: str) -> list[str]:
    return [line for line in part if not line.startswith(begin)]


def test_the_media_engine_gets_sound_first_and_no_useless_candidates() -> None:
    offer = read_offer(sdp(VIDEO, AUDIO, DATA))
    assert [section.mid for section in offer.taken] == ["a", "v", "d"]
    lines = offer.text.split("\r\n")
    assert "a=group:BUNDLE a v d" in lines
    assert [line for line in lines if "candidate" in line] == [AUDIO[-4]]
    many = [f"a=candidate:{n} 1 udp 1 127.0.0.1 {n} typ host" for n in range(1, 100)]
    assert read_offer(sdp([*AUDIO, *many])).text.count("a=candidate:") == 30


def test_the_answer_is_in_the_order_of_the_offer_with_the_rest_declined() -> None:
    odd = ["m=text 9 RTP/AVP 98", "a=mid:t"]
    second = [line.replace("mid:a", "mid:b") for line in AUDIO]
    offer = read_offer(sdp(odd, VIDEO, AUDIO, second, DATA))
    engines = ["v=0", "a=group:BUNDLE a v d"]
    for kind, mid in (("audio", "a"), ("video", "v"), ("application", "d")):
        engines += [f"m={kind} 5 X", f"a=mid:{mid}"]
    lines = offer.answer("\r\n".join(engines)).split("\r\n")
    assert [line for line in lines if line.startswith("m=")] == [
        "m=text 0 RTP/AVP 98",
        "m=video 5 X",
        "m=audio 5 X",
        "m=audio 0 UDP/TLS/RTP/SAVPF 111 0",
        "m=application 5 X",
    ]
    assert [line[6:] for line in lines if line.startswith("a=mid:")] == ["t", "v", "a", "b", "d"]
    assert "a=group:BUNDLE v a d" in lines


@pytest.mark.parametrize(
    "video",
    [
        without(VIDEO, "a=fmtp:103"),
        without(VIDEO, "a=rtpmap:103"),
        [line.replace("a=fmtp:103", "a=fmtp:104") for line in VIDEO],
        [line.replace("42e01f", "640c1f") for line in VIDEO],
        [line.replace("a=recvonly", "a=sendonly") for line in VIDEO],
        [line.replace("m=video 9", "m=video 0") for line in VIDEO],
    ],
)
def test_a_picture_that_cannot_be_sent_is_declined(video: list[str]) -> None:
    assert read_offer(sdp(VIDEO, AUDIO)).video is not None
    assert read_offer(sdp(video, AUDIO)).video is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_sdp"),
        ("hello", "invalid_sdp"),
        ("v=0\r\n", "invalid_sdp"),
        (sdp(), "invalid_sdp"),
        (sdp(VIDEO, DATA), "invalid_sdp"),
        (sdp([line.replace("m=audio 9", "m=audio 0") for line in AUDIO]), "invalid_sdp"),
        (sdp(without(AUDIO, "a=mid")), "invalid_sdp"),
        (sdp(without(AUDIO, "a=fingerprint")), "invalid_sdp"),
        (sdp(AUDIO, without(DATA, "a=fingerprint")), "invalid_sdp"),
        (sdp(AUDIO, AUDIO), "invalid_sdp"),
        (sdp(*[AUDIO] * 30), "invalid_sdp"),
        (sdp(AUDIO).replace("a=group:BUNDLE v a d\r\n", ""), "invalid_sdp"),
        (sdp(without(AUDIO, "a=rtpmap:111")), "unsupported_codec"),
    ],
)
def test_an_offer_that_makes_no_sense(text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_offer(text)
    assert (caught.value.code, caught.value.param) == (code, "sdp")


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(55):
            await test

    asyncio.run(bounded())


@pytest.mark.parametrize(
    "text",
    [
        sdp(without(AUDIO, "a=ice-pwd")),
        sdp([line.replace("a=setup:actpass", "a=setup:nobody") for line in AUDIO]),
        sdp(without(AUDIO, "a=rtcp-mux")),
        sdp([line.replace("a=candidate:1 1 udp", "a=candidate:1 one udp") for line in AUDIO]),
        sdp([line.replace("m=audio 9", "m=audio nine") for line in AUDIO]),
        sdp([line.replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0") for line in AUDIO]),
        sdp(AUDIO, [line.replace("a=sctp-port:5000", "a=sctp-port:x") for line in DATA]),
        sdp(AUDIO, [*without(VIDEO, "a=ssrc"), "a=ssrc:x y"]),
    ],
)
def test_what_only_the_media_engine_notices(text: str) -> None:
    async def test() -> None:
        make = SessionMaker()
        async with Callee(make, max_sessions=1).serving() as address, httpx.AsyncClient() as http:
            for _ in range(2):  # nothing keeps the only place
                answer = await http.post(
                    f"http://{address}/v1/realtime/calls", content=text, headers={"Content-Type": "application/sdp"}
                )
                assert answer.status_code == 400, answer.text
                assert answer.json()["error"]["code"] == "invalid_sdp"
        assert make.made == []

    run(test())


def test_bodies_that_cannot_be_read() -> None:
    async def test() -> None:
        async with Callee(SessionMaker()).serving() as address, httpx.AsyncClient() as http, Caller(address) as caller:
            url = f"http://{address}/v1/realtime/calls"
            good = await caller.offer()

            async def error(code: int, **request: Any) -> tuple[str, str | None]:
                answer = await http.post(url, **request)
                assert answer.status_code == code, answer.text
                problem = answer.json()["error"]
                assert problem["type"] == "invalid_request_error"
                return problem["code"], problem["param"]

            as_sdp = {"Content-Type": "application/sdp"}
            assert await error(400, content=good) == ("unsupported_content_type", "Content-Type")
            assert await error(400, json={"sdp": good}) == ("unsupported_content_type", "Content-Type")
            assert await error(400, content=b"\xff\xfe", headers=as_sdp) == ("invalid_value", "sdp")
            assert await error(413, content="v" * (MAX_BODY_BYTES + 1), headers=as_sdp) == ("too_large", None)
            no_boundary = {"Content-Type": "multipart/form-data"}
            assert await error(400, content=good, headers=no_boundary) == ("invalid_form", None)
            wrong = {"Content-Type": "multipart/form-data; boundary=x"}
            assert await error(400, content=good, headers=wrong) == ("invalid_form", None)
            for fields, problem in (
                ({"session": "{}"}, ("missing_required_parameter", "sdp")),
                ({"sdp": good, "voice": "x"}, ("unknown_parameter", "voice")),
                ({"sdp": good, "session": "{"}, ("invalid_json", "session")),
                ({"sdp": good, "session": "[]"}, ("invalid_value", "session")),
                ({"sdp": good, "session": '{"sing":1}'}, ("unknown_parameter", "session.sing")),
            ):
                files = {name: (None, value) for name, value in fields.items()}
                assert await error(400, files=files) == problem
            assert (await error(400, content=good, headers=as_sdp, params={"resume": "t"}))[1] == "resume"
            assert (await http.get(url)).status_code == 405

    run(test())
