"""WebRTC: calls with Opus sound, H.264 pictures and the events of the Realtime API on a data channel."""
