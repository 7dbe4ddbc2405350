"""Whether somebody speaks: the detector's states, and what leads from one to the next."""

import enum


class Activity(enum.Enum):
    """What is known about speech."""

    SILENT = "no speech"
    RISING = "perhaps speech, not yet for long enough"
    SPEAKING = "speech"
    FALLING = "perhaps silence, not yet for long enough"


class Sign(enum.Enum):
    """What a chunk, or the silence after it, tells."""

    SUSPECTED = "some evidence of speech"
    CLEARED = "no evidence of speech"
    CONFIRMED = "enough evidence of speech"
    HIGH = "a chunk at or above the threshold"
    MIDDLE = "a chunk at or above the release threshold"
    LOW = "a chunk below the release threshold"
    RELEASED = "silence for release_ms"


NEXT: dict[tuple[Activity, Sign], Activity] = {
    (Activity.SILENT, Sign.SUSPECTED): Activity.RISING,
    (Activity.SILENT, Sign.CLEARED): Activity.SILENT,
    (Activity.RISING, Sign.SUSPECTED): Activity.RISING,
    (Activity.RISING, Sign.CLEARED): Activity.SILENT,
    (Activity.RISING, Sign.CONFIRMED): Activity.SPEAKING,
    (Activity.SPEAKING, Sign.HIGH): Activity.SPEAKING,
    (Activity.SPEAKING, Sign.MIDDLE): Activity.SPEAKING,
    (Activity.SPEAKING, Sign.LOW): Activity.FALLING,
    (Activity.FALLING, Sign.HIGH): Activity.SPEAKING,
    (Activity.FALLING, Sign.MIDDLE): Activity.FALLING,
    (Activity.FALLING, Sign.LOW): Activity.FALLING,
    (Activity.FALLING, Sign.RELEASED): Activity.SILENT,
}
