"""Does more have to follow? What the rules about words answer."""

import enum


class Completeness(enum.Enum):
    """How the words so far look."""

    FINISHED = "a whole sentence, a question, a short answer"
    OPEN = "nothing tells"
    HALFWAY = "more may well follow: half a number, a subject and a verb"
    UNFINISHED = "more must follow"
