"""What a session is given by the one who makes it."""

from dataclasses import dataclass, field

from configs.session import SessionConfig
from deployments.asr.client import AsrClient
from deployments.llm.client import LlmClient
from deployments.tts.client import TtsClient
from serve_app.session.interruption import InterruptAtOnset, InterruptionPolicy
from serve_app.session.metrics import NullMetrics, SessionMetrics
from serve_app.session.screen import Faces
from serve_app.session.server_calls import NoTools, ServerTools
from serve_app.session.speech_model import SpeechModel


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Shared by all sessions of a Gateway replica."""

    asr: AsrClient
    llm: LlmClient
    tts: TtsClient
    speech_model: SpeechModel
    config: SessionConfig = field(default_factory=SessionConfig)
    metrics: SessionMetrics = field(default_factory=NullMetrics)
    faces: Faces | None = None
    """None: no session has a face."""
    interruption: InterruptionPolicy = field(default_factory=InterruptAtOnset)
    tools: ServerTools = field(default_factory=NoTools)
    """Functions that the server runs for the model."""
