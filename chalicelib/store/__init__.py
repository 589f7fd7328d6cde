"""The only importer of PynamoDB: one table, one file a collection."""
