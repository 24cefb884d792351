"""What a user holds: runs fitted, questions asked, decisions made."""
