"""An application that cannot be imported."""

import module_that_nobody_has_installed  # type: ignore[import-not-found]  # noqa: F401
