"""What `serve run` imports: the application, its gateway, sessions, store and page."""
