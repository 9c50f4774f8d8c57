"""A config with tags and a vendor of its own, for the commands that edit it."""

from __future__ import annotations

import datetime

TODAY = datetime.datetime.now(datetime.UTC).date()
LATER = TODAY + datetime.timedelta(days=200)
EARLIER = TODAY - datetime.timedelta(days=100)
CONFIG = f"""# What we run. Ask Jane before you change it.
[policy]
controller = "Acme"
version = "1"
url = "/privacy"

[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
[[site.page]]
path = "/patients/*"
audience = "patient"

[[site]]
name = "shop"
hosts = ["shop.example.com"]
upstream = "http://127.0.0.1:9001"
audience = "marketing"

# Counting visits.
[[tag]]
vendor = "matomo"   # our own server
sites = ["www"]
approved_by = "jane@example.com"
approved_on = {EARLIER}
expires = {LATER}   # ask again in time

# --- Ours
[[vendor]]
id = "acme-chat"
name = "Acme Chat"
category = "functional"
hosts = ["acme-chat.example"]
policy_url = "https://acme-chat.example/privacy"
"""
