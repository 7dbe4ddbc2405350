"""One conversation: its state machine, turns, playback and history. Knows no socket, no Ray and no engine."""
