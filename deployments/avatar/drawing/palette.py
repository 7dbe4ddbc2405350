"""The colours of the drawn portrait."""

from deployments.avatar.drawing.canvas import Colour

BACKGROUND_TOP: Colour = (214, 226, 232)
BACKGROUND_BOTTOM: Colour = (150, 176, 192)
BACKGROUND_GLOW: Colour = (246, 243, 234)

SKIN: Colour = (240, 199, 170)
SKIN_LIGHT: Colour = (253, 224, 200)
SKIN_SHADE: Colour = (205, 145, 116)
SKIN_DEEP: Colour = (160, 98, 78)
BLUSH: Colour = (232, 138, 118)

HAIR: Colour = (74, 47, 38)
HAIR_DARK: Colour = (40, 25, 23)
HAIR_LIGHT: Colour = (142, 94, 66)

BROW: Colour = (78, 50, 40)
LASH: Colour = (46, 28, 26)
EYE_WHITE: Colour = (250, 246, 242)
EYE_SHADE: Colour = (186, 170, 168)
IRIS: Colour = (96, 122, 92)
IRIS_DARK: Colour = (40, 56, 46)
IRIS_LIGHT: Colour = (158, 178, 120)
PUPIL: Colour = (18, 16, 18)
SPARK: Colour = (255, 255, 255)

LIP: Colour = (203, 104, 98)
LIP_DARK: Colour = (142, 58, 60)
LIP_LIGHT: Colour = (238, 168, 156)
INNER_MOUTH: Colour = (74, 24, 30)
TEETH: Colour = (248, 243, 234)

CLOTH: Colour = (52, 88, 110)
CLOTH_DARK: Colour = (28, 52, 70)
CLOTH_LIGHT: Colour = (98, 140, 160)
COLLAR: Colour = (240, 236, 228)
COLLAR_SHADE: Colour = (190, 186, 182)


def hexadecimal(colour: Colour) -> str:
    """As a description holds it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
