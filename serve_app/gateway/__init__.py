"""The ingress: what listens, who may enter, and the conversations of one replica."""
