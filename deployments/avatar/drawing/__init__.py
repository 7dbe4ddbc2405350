"""The portrait that ships with the project, drawn by its own code."""
