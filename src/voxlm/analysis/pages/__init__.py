"""What a report says: fits, contrasts and residuals laid out in sections."""
