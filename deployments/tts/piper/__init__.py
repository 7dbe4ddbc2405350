"""What the engine `piper` is made of."""
