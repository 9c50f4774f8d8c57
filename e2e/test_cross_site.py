"""Nobody else can choose for the visitor."""

from __future__ import annotations

from e2e.visitor import PREFERENCE_COOKIE, Visitor

FORM = """url => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = url;
  for (const [name, value] of [['action', 'accept_all'], ['source', 'banner']]) {
    const field = document.createElement('input');
    field.name = name;
    field.value = value;
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}"""
FETCH = """url => fetch(url, {
  method: 'POST', mode: 'no-cors', credentials: 'include',
  headers: {'Content-Type': 'application/x-www-form-urlencoded'},
  body: 'action=accept_all&source=banner',
}).catch(() => null)"""


def test_form_of_another_site_is_refused(visitor: Visitor) -> None:
    visitor.open_origin("/contact")  # 127.0.0.1 is another site than localhost
    with visitor.page.expect_response(lambda r: r.url.endswith("/.consent/choice")) as answer:
        visitor.page.evaluate(FORM, visitor.demo.url("/.consent/choice"))
    assert answer.value.status == 403
    assert PREFERENCE_COOKIE not in visitor.cookies()


def test_fetch_of_another_site_is_refused(visitor: Visitor) -> None:
    visitor.open_origin("/contact")
    with visitor.page.expect_response(lambda r: r.url.endswith("/.consent/choice")) as answer:
        visitor.page.evaluate(FETCH, visitor.demo.url("/.consent/choice"))
    assert answer.value.status == 403
    assert PREFERENCE_COOKIE not in visitor.cookies()
    visitor.open("/")
    assert visitor.accept_button.is_visible()


def test_choice_cannot_be_framed_by_another_site(visitor: Visitor) -> None:
    visitor.open_origin("/contact")
    visitor.page.evaluate(
        """url => new Promise(done => {
          const frame = document.createElement('iframe');
          frame.onload = done;
          frame.src = url;
          document.body.append(frame);
        })""",
        visitor.demo.url("/.consent/preferences"),
    )
    framed = [f for f in visitor.page.frames if f != visitor.page.main_frame]
    assert not [f for f in framed if f.url.startswith(visitor.demo.url("/.consent"))]
