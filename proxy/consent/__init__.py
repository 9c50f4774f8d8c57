"""The visitor's side: the banner, the preferences page and the form that both send. Pure."""
