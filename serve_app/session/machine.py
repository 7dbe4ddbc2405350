"""The conversation's state machine: a literal table, without I/O, clock or event loop.

    (state, event) → (next state, effects in order)

    idle           nothing is going on and no sound has come yet
    listening      the microphone is open, nobody speaks
    user_speaking  the user speaks
    thinking       a reply was begun, nothing of it has gone out
    speaking       the reply goes out
    held           the user may be interrupting; playback waits for the decision
    closed         over

Every pair is either a row of `TABLE` or listed in `REFUSED` with the reason why it cannot happen. A test holds both
together against all pairs.
"""

from enum import StrEnum, auto


class State(StrEnum):
    """Where a conversation stands."""

    IDLE = auto()
    LISTENING = auto()
    USER_SPEAKING = auto()
    THINKING = auto()
    SPEAKING = auto()
    HELD = auto()
    CLOSED = auto()


class Event(StrEnum):
    """What can happen to it."""

    HEARD = auto()
    """The first sound from the microphone."""
    SUSPECTED = auto()
    """There may be speech while the reply goes out."""
    CLEARED = auto()
    """There is none."""
    ONSET = auto()
    """The user began to speak and may interrupt."""
    OVERLAP = auto()
    """The user speaks while a reply is made that must not be interrupted."""
    ENDPOINT = auto()
    """The user's turn is over and wants an answer."""
    ENDPOINT_UNANSWERED = auto()
    """The user's turn is over; the client asks for the answer itself, or never."""
    ABANDONED = auto()
    """What the user was saying was cleared away by the client, or came to nothing."""
    RESPOND = auto()
    """An answer is asked for: by the client, or one that waited."""
    RESPOND_AFTER = auto()
    """An answer is asked for while the present one is complete and only being played."""
    OUTPUT = auto()
    """The first of the reply goes out."""
    DONE = auto()
    """The reply has gone out, or came to nothing, or failed."""
    CANCEL = auto()
    """The client stops the reply."""
    INTERRUPT = auto()
    """Decided: the user is interrupting."""
    RESUME = auto()
    """Decided: the user is not interrupting."""
    CLOSE = auto()
    """The session ends."""


class Effect(StrEnum):
    """What is to be done about it, in the order given."""

    BEGIN_UTTERANCE = auto()
    """Start to recognise what the user says."""
    ANNOUNCE_SPEECH = auto()
    """Tell the client that the user is speaking: it drops what it has not played."""
    END_UTTERANCE = auto()
    """Commit what was said as an item; its final words follow."""
    DROP_UTTERANCE = auto()
    """Forget what was said."""
    START_TURN = auto()
    QUEUE_TURN = auto()
    """Answer when the present reply has ended."""
    CANCEL_TURN = auto()
    """Stop the reply in all stages; the history keeps what was heard."""
    PAUSE = auto()
    """Send no more sound for the moment; nobody is told."""
    GO_ON = auto()
    """Send on after a pause."""
    HOLD = auto()
    """Send no more sound until it is decided who has the turn."""
    RELEASE = auto()
    """Send on from the very sample where it stopped."""
    NEXT = auto()
    """Look what waits: speech that goes on, or a queued reply."""
    REFUSE_RESPONSE = auto()
    """Tell the client that a response is in progress."""
    REFUSE_CANCEL = auto()
    """Tell the client that there is no response to cancel."""
    SHUT = auto()
    """Stop everything that runs."""


S, E, F = State, Event, Effect

Row = tuple[State, tuple[Effect, ...]]

_WAITING: dict[Event, Row] = {
    E.ONSET: (S.USER_SPEAKING, (F.BEGIN_UTTERANCE, F.ANNOUNCE_SPEECH)),
    E.OVERLAP: (S.USER_SPEAKING, ()),  # speech that began during a reply and outlasted it
    E.RESPOND: (S.THINKING, (F.START_TURN,)),
    E.CANCEL: (S.LISTENING, (F.REFUSE_CANCEL,)),
    E.CLOSE: (S.CLOSED, (F.SHUT,)),
}

TABLE: dict[tuple[State, Event], Row] = {
    **{(S.IDLE, event): row for event, row in _WAITING.items()},
    (S.IDLE, E.CANCEL): (S.IDLE, (F.REFUSE_CANCEL,)),
    (S.IDLE, E.HEARD): (S.LISTENING, ()),
    **{(S.LISTENING, event): row for event, row in _WAITING.items()},
    (S.USER_SPEAKING, E.ENDPOINT): (S.THINKING, (F.END_UTTERANCE, F.START_TURN)),
    (S.USER_SPEAKING, E.ENDPOINT_UNANSWERED): (S.LISTENING, (F.END_UTTERANCE, F.NEXT)),
    (S.USER_SPEAKING, E.ABANDONED): (S.LISTENING, (F.DROP_UTTERANCE, F.NEXT)),
    (S.USER_SPEAKING, E.RESPOND): (S.THINKING, (F.START_TURN,)),
    (S.USER_SPEAKING, E.CANCEL): (S.USER_SPEAKING, (F.REFUSE_CANCEL,)),
    (S.USER_SPEAKING, E.CLOSE): (S.CLOSED, (F.SHUT,)),
    (S.THINKING, E.ONSET): (S.USER_SPEAKING, (F.CANCEL_TURN, F.BEGIN_UTTERANCE, F.ANNOUNCE_SPEECH)),
    (S.THINKING, E.OVERLAP): (S.THINKING, (F.BEGIN_UTTERANCE, F.ANNOUNCE_SPEECH)),
    (S.THINKING, E.ENDPOINT): (S.THINKING, (F.END_UTTERANCE, F.QUEUE_TURN)),
    (S.THINKING, E.ENDPOINT_UNANSWERED): (S.THINKING, (F.END_UTTERANCE,)),
    (S.THINKING, E.ABANDONED): (S.THINKING, (F.DROP_UTTERANCE,)),
    (S.THINKING, E.RESPOND): (S.THINKING, (F.REFUSE_RESPONSE,)),
    (S.THINKING, E.RESPOND_AFTER): (S.THINKING, (F.QUEUE_TURN,)),
    (S.THINKING, E.OUTPUT): (S.SPEAKING, ()),
    (S.THINKING, E.DONE): (S.LISTENING, (F.NEXT,)),
    (S.THINKING, E.CANCEL): (S.LISTENING, (F.CANCEL_TURN, F.NEXT)),
    (S.THINKING, E.CLOSE): (S.CLOSED, (F.SHUT,)),
    (S.SPEAKING, E.SUSPECTED): (S.SPEAKING, (F.PAUSE,)),
    (S.SPEAKING, E.CLEARED): (S.SPEAKING, (F.GO_ON,)),
    (S.SPEAKING, E.ONSET): (S.HELD, (F.HOLD, F.BEGIN_UTTERANCE)),
    (S.SPEAKING, E.OVERLAP): (S.SPEAKING, (F.BEGIN_UTTERANCE, F.ANNOUNCE_SPEECH)),
    (S.SPEAKING, E.ENDPOINT): (S.SPEAKING, (F.END_UTTERANCE, F.QUEUE_TURN)),
    (S.SPEAKING, E.ENDPOINT_UNANSWERED): (S.SPEAKING, (F.END_UTTERANCE,)),
    (S.SPEAKING, E.ABANDONED): (S.SPEAKING, (F.DROP_UTTERANCE,)),
    (S.SPEAKING, E.RESPOND): (S.SPEAKING, (F.REFUSE_RESPONSE,)),
    (S.SPEAKING, E.RESPOND_AFTER): (S.SPEAKING, (F.QUEUE_TURN,)),
    (S.SPEAKING, E.DONE): (S.LISTENING, (F.NEXT,)),
    (S.SPEAKING, E.CANCEL): (S.LISTENING, (F.CANCEL_TURN, F.NEXT)),
    (S.SPEAKING, E.CLOSE): (S.CLOSED, (F.SHUT,)),
    (S.HELD, E.INTERRUPT): (S.USER_SPEAKING, (F.ANNOUNCE_SPEECH, F.CANCEL_TURN)),
    (S.HELD, E.RESUME): (S.SPEAKING, (F.DROP_UTTERANCE, F.RELEASE)),
    (S.HELD, E.ENDPOINT): (S.THINKING, (F.ANNOUNCE_SPEECH, F.CANCEL_TURN, F.END_UTTERANCE, F.START_TURN)),
    (S.HELD, E.ENDPOINT_UNANSWERED): (S.LISTENING, (F.ANNOUNCE_SPEECH, F.CANCEL_TURN, F.END_UTTERANCE, F.NEXT)),
    (S.HELD, E.ABANDONED): (S.SPEAKING, (F.DROP_UTTERANCE, F.RELEASE)),
    (S.HELD, E.RESPOND): (S.HELD, (F.REFUSE_RESPONSE,)),
    (S.HELD, E.RESPOND_AFTER): (S.HELD, (F.QUEUE_TURN,)),
    (S.HELD, E.DONE): (S.USER_SPEAKING, (F.ANNOUNCE_SPEECH,)),
    (S.HELD, E.CANCEL): (S.USER_SPEAKING, (F.ANNOUNCE_SPEECH, F.CANCEL_TURN)),
    (S.HELD, E.CLOSE): (S.CLOSED, (F.SHUT,)),
    **{(S.CLOSED, event): (S.CLOSED, ()) for event in Event},
}

_NO_REPLY = "no reply is under way"
_NOT_HELD = "playback is not held"
_NOBODY_SPEAKS = "nobody has begun to speak"
_SPEAKS_ALREADY = "the user is speaking already"

REFUSED: dict[tuple[State, Event], str] = {
    **{
        (state, E.HEARD): "only the first sound of a session tells something"
        for state in (S.LISTENING, S.USER_SPEAKING, S.THINKING, S.SPEAKING, S.HELD)
    },
    **{
        (state, event): reason
        for state in (S.IDLE, S.LISTENING)
        for event, reason in {
            E.ENDPOINT: _NOBODY_SPEAKS,
            E.ENDPOINT_UNANSWERED: _NOBODY_SPEAKS,
            E.ABANDONED: _NOBODY_SPEAKS,
            E.RESPOND_AFTER: _NO_REPLY,
            E.OUTPUT: _NO_REPLY,
            E.DONE: _NO_REPLY,
            E.INTERRUPT: _NOT_HELD,
            E.RESUME: _NOT_HELD,
        }.items()
    },
    **{
        (state, event): "only a reply that goes out is paused"
        for state in (S.IDLE, S.LISTENING, S.USER_SPEAKING, S.THINKING, S.HELD)
        for event in (E.SUSPECTED, E.CLEARED)
    },
    (S.USER_SPEAKING, E.ONSET): _SPEAKS_ALREADY,
    (S.USER_SPEAKING, E.OVERLAP): _SPEAKS_ALREADY,
    (S.USER_SPEAKING, E.RESPOND_AFTER): _NO_REPLY,
    (S.USER_SPEAKING, E.OUTPUT): _NO_REPLY,
    (S.USER_SPEAKING, E.DONE): _NO_REPLY,
    (S.USER_SPEAKING, E.INTERRUPT): _NOT_HELD,
    (S.USER_SPEAKING, E.RESUME): _NOT_HELD,
    (S.THINKING, E.INTERRUPT): _NOT_HELD,
    (S.THINKING, E.RESUME): _NOT_HELD,
    (S.SPEAKING, E.OUTPUT): "the first of a reply goes out once",
    (S.SPEAKING, E.INTERRUPT): _NOT_HELD,
    (S.SPEAKING, E.RESUME): _NOT_HELD,
    (S.HELD, E.ONSET): _SPEAKS_ALREADY,
    (S.HELD, E.OVERLAP): _SPEAKS_ALREADY,
    (S.HELD, E.OUTPUT): "the first of a reply goes out once",
}


class IllegalTransition(AssertionError):
    """A pair without a row: a bug in the caller, named by both."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} while {state}: {REFUSED.get((state, event), 'no such row')}")


def step(state: State, event: Event) -> Row:
    """Look the pair up. Raises IllegalTransition."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
