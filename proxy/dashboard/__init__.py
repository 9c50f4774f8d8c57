"""The dashboard on the admin listener: pages rendered here, and their tables as CSV and JSON.

No script, nothing from another host, and no number of fewer than five choices.
"""
