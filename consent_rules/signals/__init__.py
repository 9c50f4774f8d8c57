"""Consent signals for open tags: Consent Mode, UET, Clarity, Meta, IAB GPP."""
