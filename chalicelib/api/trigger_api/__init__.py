"""Dialect A, under `/api`: a file for each resource, each with its models and its endpoints."""
