"""Full duplex: who has the turn, how fast it changes hands, and what is remembered of a reply that was cut off.

trials.py → client.py over a line (line.py: the real server; stage.py: the virtual clock) → judge.py → table.py
"""
