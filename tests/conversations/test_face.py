"""A session with a face: picture and sound in step, whatever happens to either."""

from itertools import pairwise

import av
import numpy as np
import pytest

from configs.interruption import InterruptionConfig
from deployments.asr.engines import fake as fake_asr
from deployments.avatar.engines import fake as fake_avatar
from deployments.avatar.test_pattern import read_frame_number, read_openness
from deployments.llm.engines import fake as fake_llm
from deployments.media.audio import VOICE_RATE_HZ
from deployments.media.video import BLOCK_MS
from deployments.tts.engines import fake as fake_tts
from serve_app.session import events as ev
from serve_app.session.commands import CancelResponse, Update
from serve_app.session.interruption import TwoStepInterruption
from tests.conversations.scene import Log, Scene

FACE = {"output_modalities": ["audio", "video"]}
FACELESS = {"output_modalities": ["audio"]}
NUMBERS = " ".join(f"word{n}" for n in range(16)) + "."
LEAD_S = 0.4
FADE_BYTES = 2 * VOICE_RATE_HZ // 100


def told(avatar: fake_avatar.Config | None, words: str = "", spoken: tuple[float, float] | None = None) -> Scene:
    """The user asks at 0.5 s for a reply of 4 s, and may say something over it."""
    return Scene(
        user=[(0.5, 1.0), *([spoken] if spoken else [])],
        asr=fake_asr.Config(script=("tell me", words, "")),
        llm=fake_llm.Config(replies=(NUMBERS, "Fine.")),
        tts=fake_tts.Config(word_ms=250),
        avatar=avatar,
        interruption=TwoStepInterruption(InterruptionConfig()),
        settings=FACE if avatar else {},
        lasts_s=9,
    )


def blocks(log: Log) -> list[tuple[float, ev.VideoBlock]]:
    return [(at_s, each) for at_s, each in log.entries if isinstance(each, ev.VideoBlock)]


def shown(log: Log) -> list[tuple[float, float, ev.VideoBlock]]:
    """When the client begins and ends to show each block: at once or behind the last, less what was made void."""
    out: list[tuple[float, float, ev.VideoBlock]] = []
    spoken_until_s = until_s = 0.0
    for at_s, block in blocks(log):
        begin_s = max(at_s, {None: until_s, "silence": spoken_until_s, "all": 0.0}[block.cut])
        if block.cut:
            out = [(begin, min(end, begin_s), each) for begin, end, each in out if begin < begin_s]
        until_s = begin_s + BLOCK_MS / 1000
        if block.spoken_ms:
            spoken_until_s = until_s
        out.append((begin_s, until_s, block))
    return out


def decoded(sent: list[ev.VideoBlock]) -> list[tuple[int, float]]:
    """Number and openness of every frame, as a client that got just these decodes them."""
    context = av.CodecContext.create("h264", "r")
    pictures = [
        picture for block in sent for frame in block.frames for picture in context.decode(av.Packet(frame.data))
    ]
    pictures += context.decode(None)
    arrays = [np.asarray(picture.to_ndarray(format="gray"), dtype=np.uint8) for picture in pictures]
    return [(read_frame_number(array) or 0, read_openness(array)) for array in arrays]


def sound(log: Log) -> bytes:
    return b"".join(each.pcm for each in log.all(ev.OutputAudioDelta))


def test_who_asks_for_no_face_gets_none() -> None:
    scene = told(fake_avatar.Config())
    scene.settings = {}
    assert not scene.play().all(ev.VideoBlock)


def test_it_is_shown_from_the_beginning_without_a_gap() -> None:
    log = told(fake_avatar.Config()).play()
    seen = shown(log)
    assert seen[0][0] == 0.0
    assert all(abs(after[0] - before[1]) < 1e-6 for before, after in pairwise(seen))
    assert seen[-1][1] >= 9.0
    at_ms = [block.at_ms for _, block in blocks(log)]
    assert at_ms == [n * BLOCK_MS for n in range(len(at_ms))]
    assert all(len(block.frames) == 5 and len(block.pcm) == 9600 for _, block in blocks(log))


def test_the_reply_is_the_same_as_without_and_each_picture_goes_with_its_sound() -> None:
    log, plain = told(fake_avatar.Config()).play(), told(None).play()
    assert sound(log) == sound(plain)
    spoken = [(at_s, block) for at_s, block in blocks(log) if block.spoken_ms]
    deltas = list(zip(log.times(ev.OutputAudioDelta), log.all(ev.OutputAudioDelta), strict=True))
    assert len(spoken) == len(deltas) == 20
    for (block_s, block), (delta_s, delta) in zip(spoken, deltas, strict=True):
        assert block_s == delta_s
        assert block.pcm[: len(delta.pcm)] == delta.pcm
        assert block.spoken_ms == len(delta.pcm) / 48
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed"]


def test_it_begins_to_speak_as_soon_as_without() -> None:
    log, plain = told(fake_avatar.Config(render_ms=30)).play(), told(None).play()
    assert log.times(ev.OutputAudioDelta)[0] - plain.times(ev.OutputAudioDelta)[0] < 0.065, (
        "at most one block to wait for"
    )
    begin_s, _, first = next(each for each in shown(log) if each[2].spoken_ms)
    assert begin_s == log.times(ev.OutputAudioDelta)[0], "no silence before it"
    assert first.cut == "silence"


def test_it_is_at_most_the_lead_ahead() -> None:
    log = told(fake_avatar.Config(render_ms=30)).play()
    for sent_s, (_, end_s, _) in zip([at_s for at_s, _ in blocks(log)], _scheduled(log), strict=True):
        assert end_s - sent_s <= LEAD_S + 1e-6


def _scheduled(log: Log) -> list[tuple[float, float, ev.VideoBlock]]:
    """As `shown`, with what was made void later."""
    out = []
    spoken_until_s = until_s = 0.0
    for at_s, block in blocks(log):
        begin_s = max(at_s, {None: until_s, "silence": spoken_until_s, "all": 0.0}[block.cut])
        until_s = begin_s + BLOCK_MS / 1000
        if block.spoken_ms:
            spoken_until_s = until_s
        out.append((begin_s, until_s, block))
    return out


def test_everything_that_is_sent_can_be_decoded_and_moves_with_the_sound() -> None:
    log = told(fake_avatar.Config(), "stop", (3.0, 3.4)).play()
    sent = [block for _, block in blocks(log)]
    frames = decoded(sent)
    assert len(frames) == 5 * len(sent)
    numbers = [number for number, _ in frames]
    assert all(after > before for before, after in pairwise(numbers)), "each once, in order"
    for place, block in enumerate(sent):
        opened = max(openness for _, openness in frames[5 * place : 5 * place + 5])
        assert opened > 0.4 if block.spoken_ms else opened < 0.05


@pytest.mark.parametrize("words", ["mm-hm", ""])
def test_after_a_backchannel_it_goes_on_at_the_very_sample(words: str) -> None:
    log, plain = told(fake_avatar.Config(render_ms=30), words, (3.0, 3.4)).play(), told(None).play()
    (held,), (resumed,) = log.times(ev.PlaybackHeld), log.times(ev.PlaybackResumed)
    pieces = [(at_s, each.pcm) for at_s, each in log.entries if isinstance(each, ev.OutputAudioDelta)]
    (fade,) = [pcm for at_s, pcm in pieces if held < at_s < resumed]
    rest = b"".join(pcm for _, pcm in pieces if pcm is not fade)
    assert (len(fade), len(rest)) == (FADE_BYTES, len(sound(plain)))
    differing = [at for at in range(0, len(rest), 2) if rest[at : at + 2] != sound(plain)[at : at + 2]]
    assert differing[-1] - differing[0] < FADE_BYTES, "only where it fades in again"
    closing = [block for at_s, block in blocks(log) if held < at_s < held + 0.2]
    assert closing
    assert closing[0].spoken_ms == 0, "the mouth closes"
    assert closing[0].pcm[:FADE_BYTES] == fade
    gaps = [after[0] - before[1] for before, after in pairwise(shown(log))]
    assert max(gaps) < 0.035, "the face never stands still"


def test_an_interruption_closes_the_mouth_within_200_ms() -> None:
    log = told(fake_avatar.Config(render_ms=30), "stop", (3.0, 3.4)).play()
    decided_s = log.times(ev.SpeechStarted)[1]
    at_s, block = next((at_s, block) for at_s, block in blocks(log) if at_s >= decided_s)
    assert at_s - decided_s < 0.1
    assert block.spoken_ms == 0
    assert block.frames[0].keyframe
    assert block.cut == "all"
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["cancelled", "completed"]


def test_a_client_that_cancels_gets_a_closed_mouth_too() -> None:
    scene = told(fake_avatar.Config(render_ms=30))
    scene.do = [(3.1, CancelResponse())]
    log = scene.play()
    after = [(at_s, block) for at_s, block in blocks(log) if at_s >= 3.1]
    assert after[0][0] < 3.2
    assert all(block.spoken_ms == 0 for _, block in after)


def test_a_reply_that_is_cut_off_is_void_without_pictures_too() -> None:
    scene = told(fake_avatar.Config(fail_at="open"))
    scene.do = [(3.1, CancelResponse())]
    after = [(at_s, block) for at_s, block in blocks(scene.play()) if at_s >= 3.1]
    assert after[0][0] == 3.1
    assert after[0][1].cut == "all"
    assert not after[0][1].frames
    assert len(after) == 1


@pytest.mark.parametrize(
    "avatar",
    [
        fake_avatar.Config(fail_at="render", fail_at_block=9),
        fake_avatar.Config(fail_at="open"),
        fake_avatar.Config(hang_at_block=9),
        fake_avatar.Config(render_ms=700),
        fake_avatar.Config(frames=4),
    ],
    ids=["fails", "never opens", "hangs", "too slow", "loses frames"],
)
def test_without_pictures_the_conversation_goes_on(avatar: fake_avatar.Config) -> None:
    log, plain = told(avatar).play(), told(None).play()
    assert sound(log) == sound(plain)
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed"]
    assert [text for _, text in log.history] == ["tell me", NUMBERS]
    deltas = log.times(ev.OutputAudioDelta)
    assert deltas[0] - plain.times(ev.OutputAudioDelta)[0] < 0.55
    late_once = avatar.hang_at_block is not None  # in each face, and a new one is opened then
    assert bool(log.errors) is not late_once, "the client is told of what lasts"
    without = [block for _, block in blocks(log) if block.spoken_ms and not block.frames]
    assert without, "sound goes out as blocks without frames"


def test_a_picture_that_failed_comes_back() -> None:
    log = told(fake_avatar.Config(hang_at_block=9)).play()
    pictures = [bool(block.frames) for _, block in blocks(log)]
    first = pictures.index(False)
    back = first + pictures[first:].index(True)
    assert blocks(log)[back][1].frames[0].keyframe
    assert back - first <= 2, "it is tried again soon"
    assert log.errors == [], "a block without its picture is nothing to tell"


def test_an_avatar_that_does_not_exist_is_said() -> None:
    scene = told(fake_avatar.Config())
    scene.settings = {**FACE, "video": {"avatar": "nobody"}}
    log = scene.play()
    assert [error["message"] for error in log.errors] == ["There is no avatar 'nobody'."]
    assert [each.response.status for each in log.all(ev.ResponseDone)] == ["completed"]


def test_an_avatar_that_was_deleted_is_refused_though_the_stage_knows_it() -> None:
    scene = told(fake_avatar.Config(avatars=("pattern", "av_1")))
    scene.deleted_avatar = "av_1"
    scene.do = [(1.0, Update({"video": {"avatar": "av_1"}}, "evt_1"))]
    log, plain = scene.play(), told(fake_avatar.Config()).play()
    assert [(error["message"], error["event_id"]) for error in log.errors] == [("There is no avatar 'av_1'.", "evt_1")]
    assert log.session.settings.video == plain.session.settings.video
    assert len(blocks(log)) == len(blocks(plain)), "the face that is seen goes on"


def test_who_sees_an_avatar_that_is_deleted_meanwhile_goes_on_seeing_it() -> None:
    scene = told(fake_avatar.Config(avatars=("pattern", "av_1")))
    scene.settings = {**FACE, "video": {"avatar": "av_1"}}
    scene.deleted_avatar = "av_1"
    scene.do = [(1.0, Update({"instructions": "be brief"}))]
    assert scene.play().errors == []


def test_it_can_be_switched_on_and_off() -> None:
    scene = told(fake_avatar.Config())
    scene.settings = {}
    scene.do = [(0.2, Update(FACE)), (3.0, Update(FACELESS))]
    log, plain = scene.play(), told(None).play()
    times = [at_s for at_s, _ in blocks(log)]
    assert 0.2 <= times[0] < 0.21
    assert times[-1] <= 3.0
    assert sound(log) == sound(plain), "in the middle of the reply"


def test_a_server_without_faces_says_so() -> None:
    scene = told(None)
    scene.do = [(0.2, Update(FACE, "evt_1"))]
    log = scene.play()
    assert [(error["param"], error["event_id"]) for error in log.errors] == [("session.output_modalities", "evt_1")]
    assert log.session.settings.output_modalities == ("audio",)


def test_its_mood_follows_the_conversation() -> None:
    scene = told(fake_avatar.Config())
    scene.llm = fake_llm.Config(replies=(NUMBERS,), first_token_ms=900)
    moods = scene.play().moods
    assert [mood for mood, before in zip(moods, ["", *moods], strict=False) if mood != before] == [
        "idle",
        "listening",
        "thinking",
        "speaking",
        "idle",
    ]
