"""Time and columns: events, confounds and drift as one matrix that knows what it means."""
