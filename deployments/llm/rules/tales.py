"""What the stories and jokes are made of."""

from typing import Final

NAMES: Final = ("Mira", "Oscar", "Tilda", "Benno", "Ida", "Felix")
PLACES: Final = (
    "in a village between two green hills",
    "on a small island where the wind never slept",
    "at the edge of a forest older than any map",
    "in a harbour town that smelled of salt and bread",
    "high in the mountains, above the clouds",
)
WISHES: Final = (
    "to find out where the river began",
    "to hear the bell that rings only once in a hundred years",
    "to bring back the lost light of the old lighthouse",
    "to see what lay behind the last hill",
    "to find a friend who would listen",
)
HELPERS: Final = (
    "a grey owl who spoke in questions",
    "an old ferryman with a pocket full of maps",
    "a fox with one white ear",
    "a girl who mended broken clocks",
    "a travelling baker with a squeaking cart",
)
TROUBLES: Final = (
    "a storm came up and hid the path",
    "the bridge was gone, and the water ran deep and fast",
    "a thick fog fell, and every sound seemed to come from everywhere",
    "the way split in three, and the signs had been turned around",
)
TURNS: Final = (
    "stopped, listened, and heard a quiet song under the noise",
    "laughed instead of crying, and the echo showed the way",
    "shared the last piece of bread with a stranger, who knew a better road",
    "remembered something that everybody else had forgotten",
)
ENDS: Final = (
    "And whenever the evening is still, people there tell this story again.",
    "And if you walk that way today, you can still see the footprints.",
    "And from that day on, no door in that place was ever locked again.",
)
MIDDLES: Final = (
    "On the first day they crossed wide fields where the grass was taller than a cart, and they counted the larks.",
    "They counted until they ran out of numbers, and then they began again from one.",
    "On the second day it rained.",
    "They sat under a great oak, shared an apple, and told each other what they were afraid of.",
    "After that they were less afraid.",
    "On the third day they met a miller who had not slept for a week, because his mill wheel kept him awake.",
    "They put a drop of oil on the axle, and he wept with joy and gave them a lantern.",
    "The lantern was an odd one: it gave no light at noon and none at midnight.",
    "But in the hour before dawn it shone so brightly that the road lay before them as if drawn with chalk.",
    "At the end of that road stood a wall with a small round door.",
    "On the door was written: only those who are not in a hurry may come in.",
    "So they sat down and waited, and talked, and in the end the door grew bored and opened by itself.",
    "Behind it lay a garden in which everything that was ever lost had been put in order.",
    "There were gloves, keys, songs, and a whole shelf of forgotten names.",
)
"""What a long story has more than a short one."""
JOKES: Final = (
    "Why did the scarecrow win a prize? Because he was outstanding in his field.",
    "What do you call a bear without teeth? A gummy bear.",
    "Why was the maths book sad? It had too many problems.",
    "I told my computer that I needed a break. It said: no problem, I will go to sleep.",
)
