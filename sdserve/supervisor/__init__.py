"""The main process for ever: one thread, one epoll loop, no application code.

    observe   what happened outside becomes events
    step      the fleet, a pure machine, answers them with effects (`sdserve.core.fleet`)
    perform   each effect is carried out at once; what fails becomes an event again

Nothing in here waits for anything but in the one call that waits for everything.
"""
