"""Operators' tools for a pair. A node is reached only through `admin.client`."""
