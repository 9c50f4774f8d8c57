"""Open the store of a place: a file, or a database."""

from __future__ import annotations

from proxy.receipts.place import StorePlace
from proxy.receipts.shared_store import open_shared_store, read_shared_store
from proxy.receipts.store import ReceiptStore, open_store, read_store


def open_place(place: StorePlace) -> ReceiptStore:
    """Open the store for writing; begins a log where there is none. Raises ReceiptStoreError."""
    if place.url:
        return open_shared_store(place)
    return open_store(place.path, place.key, place.origin)


def read_place(place: StorePlace) -> ReceiptStore:
    """Open the store to read it. Raises ReceiptStoreError."""
    return read_shared_store(place) if place.url else read_store(place.path)
