"""Dialect C, under `/api/v1`: a file for each resource, each with its models and its endpoints."""
