"""What an exception keeps alive: the frames that it passed, with all that they name."""

from __future__ import annotations


def drop_frames(error: BaseException | None) -> None:
    """Free the frames of an exception that was dealt with, and of those that led to it.

    Whoever keeps a failure for another task (a future, a stream's reader) is in one of its frames:
    a cycle, in which the request and its buffers wait for the garbage collector.
    """
    todo, seen = [error], set[int]()
    while todo:
        found = todo.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            found.__traceback__ = None
            todo += (found.__cause__, found.__context__)
