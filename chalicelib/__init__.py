"""Stepwell: durable workflows in their own AWS account."""
