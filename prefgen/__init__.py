"""Synthetic personalized preference data: personas, judgments, checks, Parquet."""

__version__ = "0.1.0"
