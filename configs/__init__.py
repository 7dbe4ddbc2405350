"""The schema of the configuration and one complete Serve config per way of running."""
