"""The stages of the graph and what they share."""
