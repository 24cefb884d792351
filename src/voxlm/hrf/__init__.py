"""Responses as values: functions of seconds."""
