"""Speech synthesis: one clause in, audio blocks with word and phoneme times out."""
