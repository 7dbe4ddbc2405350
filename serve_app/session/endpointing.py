"""When a turn of the user is over: the silence it takes, from fixed time or from what the words look like."""

class SilenceEndpointing:
    def __init__(self, silence_duration_ms: float) -> None:
        self._s = silence_duration_ms
    def required_silence_ms(self, interim_text: str, language: str | None) -> float:
        return self._s
