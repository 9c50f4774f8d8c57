"""`python -m tests.html.costs`: what each kind of hostile page costs to compile, at doubled sizes.

Time and memory must grow as the page does, within a bound: what would not is refused before it is
parsed (`proxy.html.parse_cost`). Each page is compiled in a process of its own.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proxy.html import UndecodableError, render
from tests.html.pipeline import compiled

_Page = Callable[[int], str]

MAX_SECONDS_PER_MB = 15.0
"""Of processor time, on a slow and busy machine. What grows with the square of a page's length
takes many times that at a megabyte."""
MAX_MB_PER_MB = 400
_MEMORY_LIMIT = 3 << 30
"""Bytes of address space beside what the process of the tests has already."""


def _of(unit: str) -> _Page:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def _counted(template: str) -> _Page:
    def page(size: int) -> str:
        parts: list[str] = []
        length = 0
        while length < size:
            parts.append(template.format(i=len(parts)))
            length += len(parts[-1])
        return "".join(parts)

    return page


def _within(start: str, inner: _Page, end: str) -> _Page:
    return lambda size: start + inner(size) + end


def _few_then(opened: int, following: str) -> _Page:
    start = "".join(f"<b a={i}>" for i in range(opened))
    return lambda size: start + following * (size // len(following))


KINDS: dict[str, _Page] = {
    "few-open": _few_then(300, "<p>"),
    "few-open-closed": _within("", _few_then(300, "<p>"), "</b>" * 300),
    "root-many-attrs": _within("<html", _counted(" a{i}"), "><html b>"),
    "section-of-ends": _within("<svg><desc><![CDATA[", _of(">"), ""),
    "sections": _of("<svg><g><![CDATA[>"),
    "drawn-styles": _of("<svg><style/>"),
    "drawn-titles": _of("<svg><title><!--</title><img src=//h.test/>--></title></svg>"),
    "drawn-titles-unended": _of("<svg><title>"),
    "labels": _within('<img src="//', _of("a."), '">'),
    "labels2": _within('<img src="//', _of("a.b-"), '/x">'),
    "onelabel": _within('<img src="//', _of("a"), '">'),
    "manyhosts": _counted('<img src="//h{i}.example/a">'),
    "rootattrs": _counted("<html a{i}=1>"),
    "bodyattrs": _counted("<body a{i}=1>"),
    "bodyleak": _counted("<body background=//h{i}.test/>"),
    "bodystyle": _within("<body>", _counted("<body a{i}=1 background=//h.test/>"), ""),
    "deepdiv": _of("<div>"),
    "deepspan": _of("<span>"),
    "deepp": _of("<p>"),
    "b-i": _of("<b><i>"),
    "b-attr": _counted("<b a={i}>"),
    "font": _counted("<font color={i}>"),
    "font-p": _counted("<font color={i}><p>"),
    "a": _of("<a>"),
    "a-href": _counted("<a href={i}>"),
    "a-div": _of("<a><div>"),
    "adopt": _of("<b><p></b>"),
    "adopt2": _of("<b><i><p></b></i>"),
    "adopt3": _of("<a><p></a>"),
    "nobr": _of("<nobr>"),
    "b-div": _counted("<b a={i}><div>"),
    "b-p-close": _counted("<b a={i}><div></b>"),
    "attrs": _within("<p ", _counted(" a{i}=1"), ">"),
    "attrs-script": _within("<script ", _counted(" data-a{i}=1"), " src=//x.test/></script>"),
    "imgs-attrs": _counted("<img data-x{i}=//h.test/>"),
    "entities": _within('<img alt="', _of("&amp;"), '">'),
    "entities-bad": _within('<img alt="', _of("&ampx"), '">'),
    "entities-text": _of("&notit;"),
    "amp": _of("&"),
    "srcset": _within('<img srcset="', _counted("//h{i}.test/a {i}w, "), '">'),
    "srcset-paren": _within('<img srcset="a ', _of("("), '">'),
    "srcset-paren2": _within('<img srcset="a ', _of("( "), ')">'),
    "srcset-comma": _within('<img srcset="a', _of(","), '">'),
    "styles": _of("<style>a{b:url(//x.test/)}</style>"),
    "styleattrs": _of('<p style="a:url(//x.test/)">'),
    "srcdoc-many": _of("<iframe srcdoc=x></iframe>"),
    "srcdoc-big": _within('<iframe srcdoc="', _of("<img src=//x.test/>"), '">'),
    "datahtml-many": _of('<p data-html="<img src=//x.test/>">'),
    "import": _within("<style>", _of('@import "//x.test/";'), "</style>"),
    "import-gap": _within("<style>", _of("@import/**/"), "</style>"),
    "import-gap2": _within("<style>//@import", _of("/*"), "</style>"),
    "cssesc": _within("<style>//x ", _of("\\75"), "</style>"),
    "cssurl": _within("<style>//", _of("url("), "</style>"),
    "cssurlq": _within("<style>//", _of('url("'), "</style>"),
    "cssurlsp": _within("<style>//url(", _of(" "), "</style>"),
    "cssurlsp2": _within("<style>//", _of("url( "), "</style>"),
    "csscomment": _within("<style>//image(", _of("/*"), "</style>"),
    "cssquote": _within("<style>//image(", _of("'\\"), "</style>"),
    "cssset": _within("<style>//", _of("image("), "</style>"),
    "cssstr": _within("<style>//", _of("image('//x.test/'"), "</style>"),
    "selector": _within("<style>//x ", _of("a>b,"), "{c:url(//x.test/)}</style>"),
    "table": _of("<table>"),
    "tabletext": _of("<table>x"),
    "tabletr": _of("<table><tr><td>"),
    "tableb": _of("<table><b>"),
    "foster": _within("<table>", _of("x<b>"), ""),
    "foster2": _within("<table>", _of("<i>x</i>"), ""),
    "select": _of("<select>"),
    "selopt": _within("<select>", _of("<option>"), ""),
    "selsvg": _within("<select>", _of("<svg><style>"), ""),
    "selscripts": _within("<select><svg>", _of("<script />"), ""),
    "selscripts-end": _within("<select><svg>", _of("<script />a</script>"), ""),
    "selscripts-of-markup": _within("<select><svg>", _of("<script>a<!---->b</script>"), ""),
    "selscripts-in-scripts": _within("<select><svg>", _of("<script>"), "</script>"),
    "selends": _within("<table><td><select><svg>", _of("<tr><input>"), ""),
    "selstyle": _within("<select>", _of("<title>&lt;</title>"), ""),
    "template": _of("<template>"),
    "svg": _of("<svg>"),
    "math": _of("<math>"),
    "svgimg": _of("<svg><image href=//x.test/>"),
    "svgdeep": _within("<svg>", _of("<g>"), ""),
    "svgdesc": _of("<svg><desc>"),
    "comment": _of("<!--"),
    "comment2": _of("<!-- -"),
    "bogus": _of("<!"),
    "pi": _of("<?"),
    "script": _of("<script "),
    "scripts": _of("<script>pixelq(1)</script>"),
    "noscript": _of("<noscript>"),
    "noscripts": _of("<noscript><p></noscript>"),
    "noscripth": _of("<noscript><img src=//x.test/></noscript>"),
    "base": _of("<base href=//x.test/>"),
    "meta": _of("<meta name=referrer content=x>"),
    "metacharset": _of("<meta x"),
    "endp": _of("</p>"),
    "endb": _of("</b>"),
    "endhtml": _of("</html>"),
    "frameset": _of("<frameset>"),
    "form": _of("<form>"),
    "button": _of("<button>"),
    "li": _of("<li>"),
    "ul": _of("<ul><li>"),
    "dd": _of("<dl><dd>"),
    "h1": _of("<h1>"),
    "ruby": _of("<ruby><rt>"),
    "plaintext": _of("<plaintext>"),
    "lt": _of("<"),
    "null": _of("\0"),
    "nulltag": _of("<\0"),
    "textarea": _of("<textarea>"),
    "title": _of("<title>"),
    "body": _of("<body>"),
    "head": _of("<head>"),
    "longurl": _within('<img src="//x.test/', _of("a"), '">'),
    "longpath": _within('<img src="//x.test/', _of("a/"), '">'),
    "dots": _within('<img src="//x.test/', _of("../"), '">'),
    "params": _within('<img src="//x.test/', _of(";a"), '">'),
    "pct": _within('<img src="//x.test/', _of("%41"), '">'),
    "ownpath": _within('<img src="/', _of("a/"), '">'),
    "ping": _within('<a ping="', _counted("//h{i}.test/ "), '">'),
    "refresh": _within('<meta http-equiv=refresh content="', _of("0"), '">'),
    "refresh2": _within('<meta http-equiv=refresh content="', _of(" "), '">'),
    "refresh3": _within('<meta http-equiv=refresh content="0', _of(";"), '">'),
    "refresh4": _within('<meta http-equiv=refresh content="0', _of(" \n"), '">'),
    "delegate": _within('<meta http-equiv=delegate-ch content="', _of("// "), '">'),
    "importmap": _within("<script type=importmap>", _of('{"a":'), "</script>"),
    "importmap2": _within("<script type=importmap>", _of('"\\'), "</script>"),
    "importmap3": _within(
        '<script type=importmap>{"a":1', _counted(',"https://h{i}.test/":"x"'), "}</script>"
    ),
    "spec": _within(
        "<script type=speculationrules>[", _counted('"https://h{i}.test/",'), "1]</script>"
    ),
    "jsurl": _within('<iframe src="javascript:', _of("//x"), '">'),
    "dataurl": _within('<script src="data:text/javascript;base64,', _of("cGl4ZWxx"), '"></script>'),
    "animate": _within('<svg><animate values="', _of("//x.test/;"), '">'),
    "optanon": _within('<script type=text/plain class="', _of("optanon-category-"), '"></script>'),
    "cat": _within('<script type=text/plain data-category="', _of("a,"), '"></script>'),
    "klaro": _within('<script type=text/plain data-name="', _of("a-"), '_"></script>'),
    "scripttype": _within('<script type="', _of("text/x-"), '!"></script>'),
    "scripttype2": _within('<script type="', _of("x-template"), '!"></script>'),
    "inlinefn": _within(
        "<script>pixelq(1);",
        _counted("function f{i}(){{}};"),
        "</script><script>" + "f1();" + "</script>",
    ),
    "code-brackets": _within("<script>pixelq(1);", _of("["), "</script>"),
    "code-calls": _within("<script>pixelq(1);", _of("a("), "</script>"),
    "code-cases": _within("<script>pixelq(1);", _of("case a:"), "</script>"),
    "code-cases-many": _counted("<script>pixelq({i});" + "case a:" * 2000 + "</script>"),
    "code-labels": _within("<script>pixelq(1);", _of("{a:"), "</script>"),
    "code-calls-closed": lambda size: (
        "<script>pixelq(1);" + "a(" * (size // 3) + ")" * (size // 3) + "</script>"
    ),
    "code-lists": lambda size: (
        "<script>pixelq(1);a=" + "[" * (size // 2) + "]" * (size // 2) + "</script>"
    ),
    "code-questions": _within("<script>pixelq(1);", _of("a?b:"), "c</script>"),
    "code-templates": _within("<script>pixelq(1);", _of("`${"), "</script>"),
    "code-slashes": _within("<script>pixelq(1);", _of("/a"), "</script>"),
    "code-strings": _within("<script>x([", _of("'pixelq(1)',"), "0])</script>"),
    "code-dots": _within("<script>x('pixelq(", _of("."), "')</script>"),
    "code-escapes": _within("<script>x.push([1,'pixelq(", _of("\\n"), "'])</script>"),
    "code-state": _within("<script>pixelq;a={", _counted('k{i}:"pixelq(1)",'), "}</script>"),
    "code-assigns": _within("<script>pixelq(1);", _counted("a{i}={{b:[1]}};"), "</script>"),
    "code-nested": _within("<script>pixelq(1);", _counted("a{i}={{b:"), "</script>"),
    "code-functions": _within("<script>pixelq(1);", _of("function a(){"), "</script>"),
    "code-arrows": _within("<script>pixelq(1);", _of("a=>"), "1</script>"),
    "code-plus": _within("<script>pixelq(1);x=1", _of("+'pixelq(1)'"), "</script>"),
    "code-many": _counted("<script>x.push([{i},'pixelq(1)'])</script>"),
    "imports-open": _within("<style>", _of("@import/*"), "//x.test/</style>"),
    "imports-closed": _within("<style>", _of("@import/*@import/**/ "), "'//x.test/'</style>"),
    "imports-urls": _within("<style>", _of("@import /**/url(//x.test/)"), "</style>"),
    "imports-ended": lambda size: (
        "<style>" + "@import/*" * (size // 20) + "*/" + "/**/" * (size // 8) + "'//x.test/'</style>"
    ),
    "module-imports": _within("<script type=module>", _of("import/*"), "'//x.test/'</script>"),
    "module-lines": _within("<script type=module>", _of("import//"), "'//x.test/'</script>"),
    "module-strings": _within("<script type=module>", _of("import'a'"), "</script>"),
    "code-opened": _within("<script>pixelq(1);", _of("a/*"), "</script>"),
    "code-comments": _within("<script>pixelq(1);", _of("/**/"), "</script>"),
    "inlinemany": _counted(
        '<script>function fn{i}(){{}} pixelq({i})</script><p onclick="fn{i}()">'
    ),
    "state": _within('<script>window.x = {"a":"pixelq("', _counted(',"k{i}":1'), "}</script>"),
    "onattrs": _counted('<p on{i}="pixelq(1)">'),
    "manynames": _counted("<p data-{i}-src=//h.test/>"),
    "declared": _of("<div data-consent-declaration></div>"),
    "marks": _counted("<meta name=page-audience content=x{i}>"),
    "framesown": _counted("<iframe src=/x{i}></iframe>"),
    "sourceset": _of('<picture><source srcset="//x.test/">'),
    "attrquote": _of('<p a="'),
    "tagslash": _of("<p/"),
    "hints": _counted("<link rel=preconnect href=//h{i}.test/>"),
    "embeds": _of("<embed src=//x.test/>"),
    "objects": _of("<object data=//x.test/>"),
    "nestedobj": _of("<object>"),
    "crossing": _of("<noscript><object data=//x.test/></noscript></object>"),
    "a-p": _counted("<a href={i}><p>"),
    "nobr-p": _of("<nobr><p>"),
    "td-b": _of("<table><tr><td><b><p>"),
    "b-td": _counted("<b a={i}><table><tr><td>"),
    "li-b": _counted("<ul><li><b c={i}>"),
    "btn": _of("<button><b>"),
    "tt": _counted("<tt a={i}></p>"),
    "u-br": _counted("<u a={i}>"),
    "applet": _of("<applet><b>"),
    "cr": _of("\r"),
    "backslashcr": _of("\\\r\n"),
    "utf8": _of("\xc3\xa9"),
    "ff": _of("\xff<p>"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time and memory of one page; `refused` says why it was not parsed, or is ""."""

    seconds: float
    megabytes: float
    refused: str


def measure(kind: str, size: int, seconds: int = 60) -> Cost:
    """Compile and render a page of a kind in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        gc.freeze()  # or a collection looks at all that the tests made
        limit = _MEMORY_LIMIT + _address_space()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        try:
            os.write(writing, json.dumps(_measured(kind, size)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return Cost(*json.loads(told)) if told else Cost(float(seconds), 0.0, "killed")


def _address_space() -> int:
    """Bytes that this process has mapped (proc_pid_statm(5)); 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _measured(kind: str, size: int) -> tuple[float, float, str]:
    body = KINDS[kind](size).encode("latin-1")
    compiled(b"<p>x<script>pixelq(1);function aaa(){}</script>")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    refused = ""
    try:
        render(compiled(body), frozenset())
    except UndecodableError as error:
        refused = str(error)
    except MemoryError:
        refused = "killed"
    took = time.process_time() - started
    return took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, refused


def is_too_much(cost: Cost, size: int) -> bool:
    megabytes = size / 1e6
    return (
        cost.refused == "killed"
        or cost.seconds > 0.5 + MAX_SECONDS_PER_MB * megabytes
        or cost.megabytes > 20 + MAX_MB_PER_MB * megabytes
    )


def main(kinds: list[str]) -> int:
    sizes = (75_000, 150_000, 300_000, 600_000)
    print(f"{'kind':16}" + "".join(f"{size // 1000:>9} KB       " for size in sizes))
    worst = 0
    for kind in kinds or KINDS:
        costs = [measure(kind, size) for size in sizes]
        cells = [f"{cost.seconds * 1000:7.0f} ms {cost.megabytes:4.0f} MB " for cost in costs]
        print(f"{kind:16}{''.join(cells)} {costs[-1].refused}", flush=True)
        worst |= any(is_too_much(*one) for one in zip(costs, sizes, strict=True))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
