"""An open-loop client that sees everything: each request ends in one class, each closed connection counts.

Requests are sent by schedule, whether or not earlier ones were answered, and latency counts from the moment
a request was due. So a server that stands still for a second is seen as that, and not as one slow request.
"""
