"""Where replicas go: what a configuration books, whether it fits, and the same for Kubernetes."""
