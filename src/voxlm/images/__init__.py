"""Images as ``(T, V)`` blocks and back; the only door to nibabel; knows no statistics."""
