"""Regular expressions of modules, compiled when they are first used.

Compiling those of all modules takes a tenth of a start, and most are for what few pages have.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, AnyStr, Generic, cast


class LazyPattern(Generic[AnyStr]):
    """Has the methods and attributes of the compiled pattern. Each is looked up once: then a call
    takes no longer than that of an `re.Pattern`.
    """

    def __init__(self, pattern: AnyStr, flags: int) -> None:
        self._pattern: AnyStr = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[AnyStr]:
        return re.compile(self._pattern, self._flags)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._compiled, name)
        setattr(self, name, found)
        return found


def lazy_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`, but compiled when it is first used. For functions of `re` and `isinstance`
    it is no pattern.
    """
    return cast("re.Pattern[AnyStr]", LazyPattern(pattern, flags))
