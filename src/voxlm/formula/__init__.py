"""Text → terms → meaning; the only door to formulaic and patsy; never sees a scan."""
