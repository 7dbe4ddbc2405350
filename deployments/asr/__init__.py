"""Speech recognition: 100 ms blocks of speech in, words out."""
