"""`python -m proxy` is `consent-proxy`."""

from proxy.cli.app import main

if __name__ == "__main__":
    main()
