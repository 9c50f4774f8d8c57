"""`python -m proxy` is `consent-proxy`."""

from proxy.cli import main

if __name__ == "__main__":
    main()
