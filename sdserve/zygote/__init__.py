"""One fresh interpreter per generation, which the supervisor asks for workers and which forks them.

It prepares everything that all workers of a generation share (import path, code, with
`preload = yes` the application), stays single-threaded, and holds no state of its own worth keeping:
when it dies the workers live on and the supervisor starts another.
"""
