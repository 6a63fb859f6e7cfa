"""Runs that are killed or run twice at once must leave what an undisturbed run leaves."""
