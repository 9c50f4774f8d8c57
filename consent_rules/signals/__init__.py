"""Consent signals that open tags are sent: Consent Mode, UET, Clarity, Meta, IAB GPP."""
