"""One file a skill: `answer(turn)` gives a reply, or None where it has nothing to say."""
