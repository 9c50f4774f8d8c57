"""Cookie headers, the preference cookie, its signing keys, vendor cookies."""
