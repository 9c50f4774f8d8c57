"""The documentation as a site: pages of the repository and reference made from the code."""
