"""Parts of the engine `faster_whisper`: what one utterance says, and one model that hears several at a time."""
