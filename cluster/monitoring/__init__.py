"""What to watch, as a dashboard for Grafana."""
