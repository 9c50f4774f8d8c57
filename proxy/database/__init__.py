"""PostgreSQL, where a config names one: connections, the tables' versions, messages to all nodes.

Its packages are an extra (`consent-proxy[postgres]`) and are imported when a connection is made, so
that a proxy without a database neither needs nor loads them.
"""
