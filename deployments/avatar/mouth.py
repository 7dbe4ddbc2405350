"""The shape of a mouth, between what is said and what is drawn."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MouthPose:
    """One frame's mouth. All zero is a closed mouth at rest."""

    jaw: float = 0.0
    """0 closed, 1 as wide open as speech gets ("ah")."""
    width: float = 0.0
    """Of the corners: −1 drawn in ("oo"), 0 at rest, 1 spread ("ee")."""
    rounding: float = 0.0
    """0 to 1: lips rounded and pushed out ("o", "w")."""
    press: float = 0.0
    """0 to 1: lips pressed together (p, b, m). At 1 the mouth is closed whatever the jaw does."""
    bite: float = 0.0
    """0 to 1: the lower lip touches the upper teeth (f, v)."""
    tongue: float = 0.0
    """0 to 1: the tip of the tongue shows (l, th)."""

    @property
    def aperture(self) -> float:
        """How far the lips are apart: 0 to 1."""
        return self.jaw * (1.0 - self.press) * (1.0 - 0.75 * self.bite)
