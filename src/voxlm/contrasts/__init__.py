"""Questions about columns: text to rows of C, and C to effect, variance and statistic."""
