"""The command line.

python -m serve_app.talk --wav question.wav --out reply.wav    a recording, in real time
python -m serve_app.talk                                       the microphone, or typed text where there is none
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import websockets

from serve_app.talk.conversation import Conversation
from serve_app.talk.sources import KeyboardSource, NothingToSay, RecordingSource, Source, open_microphone
from serve_app.talk.speakers import Speaker, WavFile, open_loudspeaker


def main() -> int:
    """Parse, talk, say what went wrong in one line. 0: a conversation was held; 1: it was not; 2: wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.talk", description="Talk to a Parley server.")
    parser.add_argument("--wav", type=Path, help="speak this recording instead of the microphone")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server's address (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write what is heard to this WAV file")
    parser.add_argument("--instructions", help="what the assistant is told about its part")
    args = parser.parse_args()
    try:
        source = _source(args.wav)
        speaker = WavFile(args.out) if args.out else open_loudspeaker(silent=args.wav is not None)
        asyncio.run(_talk(args.url, source, speaker, args.instructions))
    except NothingToSay as error:
        print(f"talk: {error}", file=sys.stderr)
        return 2
    except (OSError, websockets.InvalidHandshake, websockets.InvalidURI) as error:
        print(f"talk: cannot reach {args.url}: {error}. Is the server running (make run)?", file=sys.stderr)
        return 1
    except websockets.ConnectionClosed as error:
        print(f"talk: the server closed the conversation: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _source(wav: Path | None) -> Source:
    if wav is not None:
        return RecordingSource(wav)
    microphone = open_microphone()
    if microphone is not None:
        print("Speak; Ctrl-C ends it.")
        return microphone
    print("No microphone here (pip install 'parley[microphone]' brings it): type, Ctrl-D ends it.")
    return KeyboardSource()


async def _talk(url: str, source: Source, speaker: Speaker, instructions: str | None) -> None:
    address = url.rstrip("/").replace("http", "ws", 1) + "/v1/realtime?model=parley&parley_events=1"
    key = os.environ.get("PARLEY_API_KEY", "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with websockets.connect(address, additional_headers=headers, max_size=2**24) as socket:
        with speaker:
            await Conversation(socket, source, speaker, instructions).hold()


if __name__ == "__main__":
    sys.exit(main())
