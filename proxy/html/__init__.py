"""The page pipeline: bytes -> resources with their spans -> gates -> variants."""

from proxy.html.boundary import Boundary, OwnedResource
from proxy.html.compile import compile_page, findings
from proxy.html.gates import Embed, Gate, Page
from proxy.html.render import render
from proxy.html.scan import scan
from proxy.html.source import Source, UndecodableError, read_source

__all__ = [
    "Boundary",
    "Embed",
    "Gate",
    "OwnedResource",
    "Page",
    "Source",
    "UndecodableError",
    "compile_page",
    "findings",
    "read_source",
    "render",
    "scan",
]
