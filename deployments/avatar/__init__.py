"""The Avatar stage: a talking head in step with the voice."""
