"""The nilearn-shaped face over the same engine."""
