"""Environments of engines: `.envs/<extra>/`, made by `make env ENGINE=…`, used by `make run`.

No two heavy engines share one Python environment, since their packages ask for different versions of the same things.
An environment sees the packages of the one that Parley is in, Ray among them, and has its engine's, which win.
"""
