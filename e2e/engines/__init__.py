"""Browsers of three engines behind one small interface: Chromium, Firefox, WebKit."""
