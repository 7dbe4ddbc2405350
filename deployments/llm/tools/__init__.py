"""Functions of the server that the model may call."""
