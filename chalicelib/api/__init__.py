"""HTTP: three dialects over one domain."""
