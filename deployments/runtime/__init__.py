"""What the stages share: calls, routing, engine loading, errors, clock, worker threads."""
