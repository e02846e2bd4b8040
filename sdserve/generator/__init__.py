"""systemd's generator: from each instance's INI to the socket units it needs; see systemd.generator(7).

It runs at each boot and each daemon-reload, while everything else waits. What is imported here therefore
imports next to nothing itself; `sdserve.config` as a whole comes in only for what is wrong or unusual.
"""
