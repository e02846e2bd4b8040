"""Ids of messages that the journal can explain: MESSAGE_ID in systemd.journal-fields(7).

`systemd/sdserve.catalog` has their explanations. Operators filter and alert by an id, so it stays what it is.
"""

from __future__ import annotations

NO_SOCKETS = "9a1a5d0c2b6d4d8f9f4c0f5d0e6a7b31"
RELOAD_FAILED = "5d4c7a29ca0d4763834afe56246499a7"
WORKER_LOST = "3757782c030c4594bd467df0913888d8"
WORKER_STALLED = "635bd0c594c04501ba428191d48ae5fa"
GIVING_UP = "822dbd99063c40e3bea4257cca92e813"
CERTIFICATES_REFUSED = "b1f1260a3b934633bee2218bfa1aca49"
SUPERVISOR_LOST = "8ea72cafe6c94451b25314a7147ded67"
