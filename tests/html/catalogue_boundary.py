"""A boundary with the whole catalogue."""

from __future__ import annotations

from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary

URL = "https://www.example.com/"
BOUNDARY = Boundary(HostSet(["www.example.com"]), VendorIndex(catalogue().values()))
