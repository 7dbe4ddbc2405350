"""What a worker of Ray imports before anything else, by RAY_preload_python_modules."""

from deployments.runtime.memory import load_quickly

load_quickly()
