"""Pure values that cross between stages: audio, text, time. Reaches neither ray nor torch."""
