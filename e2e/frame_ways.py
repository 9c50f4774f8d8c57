"""Every way known by which a page's own script makes a frame, or leads one somewhere.

Each is a script with `url`, an address of another host, and `name`, a word that no other way has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FRAME = "const f = document.createElement('iframe'); "
_ADD = "document.body.append(f);"
_PLACE = "const d = document.body.appendChild(document.createElement('div')); "
_MARKUP = '`<p><iframe title="a > b" src="${url}"></iframe>`'
_NAMED = _FRAME + "f.name = name; " + _ADD
_BLANK = "const o = document.createElement('iframe'); document.body.append(o); "
_XSLT = (
    "`<x:stylesheet version='1.0' xmlns:x='http://www.w3.org/1999/XSL/Transform'><x:template "
    "match='/'><iframe xmlns='http://www.w3.org/1999/xhtml' src='${url}'/></x:template>"
    "</x:stylesheet>`"
)
_XML = "`<iframe xmlns='http://www.w3.org/1999/xhtml' src='${url}'/>`"

SPARED: Mapping[str, str] = {
    "src": f"{_FRAME} f.src = url; {_ADD}",
    "src, in the page": f"{_FRAME} {_ADD} f.src = url",
    "src, with blanks and capitals": f"{_FRAME} {_ADD}"
    "f.src = ' ' + url.replace('https', 'HT\\ntps')",
    "setAttribute": f"{_FRAME} f.setAttribute('SRC', url); {_ADD}",
    "setAttributeNS": f"{_FRAME} f.setAttributeNS(null, 'src', url); {_ADD}",
    "sandboxed": f"{_FRAME} f.sandbox = ''; f.src = url; {_ADD}",
    "lazy": f"{_FRAME} f.loading = 'lazy'; f.src = url; document.body.prepend(f)",
    "a copy": f"{_FRAME} f.src = url; document.body.append(f.cloneNode())",
    "fetched": "const r = new XMLHttpRequest(); r.open('GET', '/part');"
    "r.responseType = 'document'; r.onload = () => { const f = r.response.querySelector('iframe');"
    f"f.src = url; {_ADD} }}; r.send()",
    "innerHTML": f"{_PLACE} d.innerHTML = {_MARKUP}",
    "innerHTML, not in the page": "const d = document.createElement('div');"
    f"d.innerHTML = {_MARKUP}; document.body.append(d)",
    "outerHTML": f"{_PLACE} d.outerHTML = {_MARKUP}",
    "insertAdjacentHTML": f"document.body.insertAdjacentHTML('beforeend', {_MARKUP})",
    "document.write": f"document.write({_MARKUP})",
    "DOMParser": f"const p = new DOMParser().parseFromString({_MARKUP}, 'text/html');"
    "document.body.append(...p.body.childNodes)",
    "template": f"const t = document.createElement('template'); t.innerHTML = {_MARKUP};"
    "document.body.append(t.content.cloneNode(true))",
    "fragment of a range": "document.body.append("
    f"document.createRange().createContextualFragment({_MARKUP}))",
    "setHTMLUnsafe": f"{_PLACE} d.setHTMLUnsafe({_MARKUP})",
    "parseHTMLUnsafe": "document.body.append("
    f"...Document.parseHTMLUnsafe({_MARKUP}).body.childNodes)",
    "shadow root": f"{_PLACE} d.attachShadow({{mode: 'open'}}).innerHTML = {_MARKUP}",
    "shadow root, declarative": f"{_PLACE} d.setHTMLUnsafe("
    f"'<p><template shadowrootmode=open>' + {_MARKUP} + '</template>')",
    "srcdoc": f"{_FRAME} f.srcdoc = {_MARKUP}; {_ADD}",
    "srcdoc in markup": f"{_PLACE} d.innerHTML =`<iframe srcdoc='<iframe src=${{url}}>'></iframe>`",
    "a frame's own element": f"{_BLANK} const e = o.contentWindow.document,"
    "f = e.createElement('iframe'); f.src = url; e.body.append(f)",
    "a frame's own markup": f"{_BLANK} o.contentDocument.body.innerHTML = {_MARKUP}",
    "a frame's own element, in the page": f"{_BLANK}"
    "const f = o.contentDocument.createElement('iframe'); f.src = url; document.body.append(f)",
    "link": f"{_NAMED} const a = document.createElement('a'); a.href = url; a.target = name;"
    "document.body.append(a); a.click()",
    "open": f"{_NAMED} open(url, name)",
    "form": f"{_NAMED} const a = document.createElement('form'); a.action = url; a.target = name;"
    "document.body.append(a); a.submit()",
    "form, posted": f"{_NAMED} const a = document.createElement('form'); a.action = url;"
    "a.target = name; a.method = 'post'; document.body.append(a); a.submit()",
    "form, requested": f"{_NAMED} const a = document.createElement('form'); a.action = url;"
    "a.target = name; document.body.append(a); a.requestSubmit()",
    "form, by its button": f"{_NAMED} const a = document.createElement('form');"
    "a.innerHTML = '<button>'; a.firstChild.formAction = url; a.target = name;"
    "document.body.append(a); a.firstChild.click()",
}
"""Ways that the guard takes."""

CONNECTING: Mapping[str, str] = {
    "setAttributeNode": "const a = document.createAttribute('src'); a.value = url;"
    f"{_FRAME} f.setAttributeNode(a); {_ADD}",
    "an attribute's value": f"{_FRAME} f.src = 'about:blank'; {_ADD} f.attributes.src.value = url",
    "setAttribute of all elements": "const { setAttribute } = Element.prototype;"
    f"{_FRAME} setAttribute.call(f, 'src', url); {_ADD}",
    "written in pieces": "document.write('<ifr', 'ame sr'); document.write(`c='${url}'></iframe>`)",
    "XML": "document.body.append(document.adoptNode("
    f"new DOMParser().parseFromString({_XML}, 'text/xml').documentElement))",
    "a transformation": "const x = new XSLTProcessor();"
    "const p = (text) => new DOMParser().parseFromString(text, 'text/xml');"
    f"x.importStylesheet(p({_XSLT}));"
    "document.body.append(x.transformToFragment(p('<x/>'), document))",
    "location": f"{_FRAME} {_ADD} f.contentWindow.location = url",
    "location.href": f"{_FRAME} {_ADD} f.contentWindow.location.href = url",
    "location.replace": f"{_FRAME} {_ADD} f.contentWindow.location.replace(url)",
    "navigation": f"{_FRAME} {_ADD} f.contentWindow.navigation.navigate(url)",
    "refresh": f"{_FRAME} {_ADD} f.contentDocument.head.innerHTML ="
    '`<meta http-equiv=refresh content="0;url=${url}">`',
    "a script in srcdoc": f"{_FRAME} f.srcdoc = `<body><script>{_FRAME} f.src = '${{url}}';"
    f"{_ADD}<\\/script>`; {_ADD}",
    "a page of its own (blob:)": f"{_FRAME} f.src = URL.createObjectURL(new Blob([{_MARKUP}],"
    f"{{type: 'text/html'}})); {_ADD}",
    "a page of its own (data:)": f"{_FRAME} f.src = 'data:text/html,' + {_MARKUP}; {_ADD}",
    "a page of its own (javascript:)": f"{_FRAME}"
    f"f.src = `javascript:'<iframe src=${{url}}>'`; {_ADD}",
    "a frame by its number": f"{_BLANK} const e = window[window.length - 1].document,"
    "f = e.createElement('iframe'); f.src = url; e.body.append(f)",
    "link, not in the page": f"{_NAMED} const a = document.createElement('a'); a.href = url;"
    "a.target = name; a.click()",
    "<frame>": "const s = document.createElement('frameset'), f = document.createElement('frame');"
    "f.src = url; s.append(f); document.body.append(s)",
    "<frame>, markup": "const s = document.createElement('frameset'); document.body.append(s);"
    "s.innerHTML = `<frame src='${url}'>`",
}
"""Ways that it does not take: Chromium connects, and the policy refuses the frame."""

SILENT: Mapping[str, str] = {
    "<object>": "const o = document.createElement('object'); o.data = url;document.body.append(o)",
    "<object>, a page": f"{_PLACE}d.innerHTML = `<object type=text/html data='${{url}}'></object>`",
    "<embed>": "const o = document.createElement('embed'); o.src = url; document.body.append(o)",
    "<embed>, a page": f"{_PLACE} d.innerHTML = `<embed type=text/html src='${{url}}'>`",
}
"""Where Chromium asks the policy first."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways, each to a host of its own below `domain`, whose name tells the way."""

    scripts: Mapping[str, str]
    domain: str

    def host(self, way: str) -> str:
        return f"w{list(self.scripts).index(way)}.{self.domain}"

    def among(self, names: Iterable[str]) -> set[str]:
        """The ways by which hosts of these names were reached."""
        found = set(names)
        return {way for way in self.scripts if self.host(way) in found}

    def program(self) -> bytes:
        """A script that tries all of them and keeps their faults in `faults`."""
        lines = ["window.faults = [];"]
        for number, (way, script) in enumerate(self.scripts.items()):
            address = json.dumps(f"https://{self.host(way)}/x")
            lines.append(
                f"try {{ ((url, name) => {{ {script} }})({address}, 'n{number}') }}"
                f"catch (e) {{ faults.push({json.dumps(way)} + ': ' + e) }}"
            )
        return "\n".join(lines).encode("ascii")
