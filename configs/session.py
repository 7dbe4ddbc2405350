"""What every conversation starts with. All of it can change while the server runs (`user_config` of the Gateway)."""

from pydantic import BaseModel, ConfigDict, Field

from configs.interruption import InterruptionConfig
from configs.vad import EndpointingConfig, VadConfig

INSTRUCTIONS = (
    "You are Parley, a friendly assistant that people talk to. You answer by voice, so keep it short and easy to say."
)


class ToolsConfig(BaseModel):
    """Functions that the model may call, of the client and of the server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: tuple[str, ...] | None = None
    """Names of the server's functions (`args: tools:`) that a session has; None: all."""
    filler_after_s: float | None = Field(default=3, gt=0, le=60)
    """A call that takes longer is covered by a spoken "One moment, please."; None: by silence."""
    timeout_s: float = Field(default=60, gt=0, le=3600)
    """A call that takes longer is answered with a failure, which the model is told."""


class ResumeConfig(BaseModel):
    """Coming back after the connection broke."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    within_s: float = Field(default=60, ge=0, le=3600)
    """How long a conversation waits for its client; 0: it does not."""


class RepromptConfig(BaseModel):
    """What the assistant does when the user says nothing after a reply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after_s: float | None = Field(default=None, ge=1, le=600)
    """It speaks again after so much silence since the end of its reply; None: it waits for ever."""
    at_most: int = Field(default=2, ge=1, le=100)
    """So many times in a row; what the user says begins a new row."""
    text: str = Field(default="", max_length=2000)
    """What it says; empty: "Are you still there?" in the language that is spoken."""


class BackchannelConfig(BaseModel):
    """The "uh-huh" of one who listens to something long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after_s: float | None = Field(default=None, ge=1, le=600)
    """Said in a pause once the user's turn, or what came since the last one, is so long; None: never."""
    pause_ms: float = Field(default=320, ge=200, le=5000)
    """The least pause. The recogniser's words must be final in it, which `finalize_after_ms` begins."""
    room_ms: float = Field(default=600, ge=200, le=10_000)
    """So much of the pause must be left before it would end the turn: for making the sound and playing it."""


class SpeakableConfig(BaseModel):
    """How written text is put into words for the voice. The transcript keeps what is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_words: bool = True
    """Figures, addresses, marks and emoji in words; off: the engine gets the text as the model wrote it."""
    lexicon: dict[str, str] = Field(default={}, max_length=1000)
    """Words that an engine says wrong, and how to write them for it: `{Nginx: engine x}`."""


class SessionConfig(BaseModel):
    """Defaults and limits of a session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assistant: str = Field(default="", max_length=64)
    """The one of `configs/assistants` that a session has whose client names none; empty: what stands here."""
    instructions: str = Field(default=INSTRUCTIONS, max_length=50_000)
    """Used where the client sets none."""
    voice: str = Field(default="", max_length=64)
    """Empty takes the speech engine's default."""
    language: str | None = Field(default=None, max_length=16)
    """ISO 639-1 code of what people speak; None lets the engines decide."""
    greeting: str = Field(default="", max_length=2000)
    """Said before anything else; empty: nothing is."""
    speakable: SpeakableConfig = SpeakableConfig()
    vad: VadConfig = VadConfig()
    endpointing: EndpointingConfig = EndpointingConfig()
    interruption: InterruptionConfig = InterruptionConfig()
    tools: ToolsConfig = ToolsConfig()
    resume: ResumeConfig = ResumeConfig()
    reprompt: RepromptConfig = RepromptConfig()
    backchannel: BackchannelConfig = BackchannelConfig()

    speculate: bool = True
    """Begin the reply in the pause before the user's turn is certain to be over, and use it if nothing more is said."""

    lead_ms: float = Field(default=240, ge=40, le=2000)
    """How far ahead of real time sound is sent: the client's cushion against a jittery network."""
    block_ms: float = Field(default=80, ge=20, le=250)
    """Length of one piece of sound on the wire."""
    face_lead_ms: float = Field(default=400, ge=200, le=2000)
    """The lead with a face, whose picture and sound go out in blocks of 200 ms."""

    clauses_at_once: int = Field(default=1, ge=1, le=8)
    """Clauses of one reply that are synthesised at once, the next ones while less than the lead is queued; they are
    played in order. 2 or more spare the pauses between sentences with an engine that takes its time and does several at
    once (several replicas or slots); espeak is so fast that 1 is best."""

    max_reply_s: float = Field(default=300, gt=0, le=3600)
    """A spoken reply ends with the clause in which it gets longer, as `incomplete`."""
    max_unanswered_s: float = Field(default=60, gt=0, le=100)
    """Sound that may wait for an answer. A longer utterance is cut there and answered."""
    max_items: int = Field(default=1000, ge=10, le=100_000)
    """Items of one conversation that are held; beyond, the oldest leave the model's view (the store keeps them)."""
    max_text_chars: int = Field(default=50_000, ge=1)
    """Text of one item."""
    idle_s: float = Field(default=600, gt=0)
    """A session that neither hears, says nor is told anything for this long is closed."""
    max_side_responses: int = Field(default=4, ge=0, le=64)
    """Responses outside the conversation (`conversation: none`) that may run at once."""
