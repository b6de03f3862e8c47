"""Statements, and a processor's settlement report held against the ledger."""
