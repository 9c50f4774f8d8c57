"""What is selected of a page, against the long way: one selector for all, over every element."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from proxy.html.attribute_selectors import BY_ATTRIBUTE
from proxy.html.elements import SVG_REFERENCES
from proxy.html.scan import selected, tags_of_note
from proxy.html.source import UndecodableError, read_source
from proxy.html.tree import parse
from tests.html.fragments import Written, page

_LONG_WAY = ",".join(
    (
        "script,img,iframe,frame,embed,object,applet,video,audio,source,track,link,base,style,bgsound",
        "portal,fencedframe,meta,input[src],set[to],set[by],animate[to],animate[values]",
        "animate[from],animate[by],form[action]",
        *SVG_REFERENCES,
        BY_ATTRIBUTE,
    )
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=page())
def test_no_element_is_left_out(written: Written) -> None:
    try:
        source = read_source(written.body, written.content_type)
    except UndecodableError:
        return
    tags = tags_of_note(source.body)
    for scripting in (False, True):
        document = parse(source.text, scripting=scripting)
        found = selected(document, tags)
        assert len(set(found)) == len(found)
        expected = document.select(_LONG_WAY)
        assert set(expected) <= set(found), source.text
        for tag in ("base", "meta"):  # the first of its name counts, in the tree
            assert [one for one in found if one.tag == tag] == document.select(tag)
