"""Design × blocks → estimate."""
