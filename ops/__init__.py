"""Adapters, given traffic and taken back."""
