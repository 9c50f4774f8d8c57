// Chromium connects to a frame's host (TLS with its name) before it asks the policy whether the frame
// may load. So a frame that a script leads to a closed host first gets a page of its own, which goes
// before its address: that stays as the page wrote it. The policy is what holds, this only spares
// the connection: whatever fails here goes on as if we were not there.
(() => {
  const { open, page } = document.currentScript.dataset;
  const opened = new RegExp(open);
  const own = page.slice(0, page.indexOf(">"));
  const { origin } = location;
  const { getOwnPropertyDescriptor: descriptor, defineProperty } = Object;
  const { getAttribute, hasAttribute, removeAttribute, setAttribute } = Element.prototype;
  const base = descriptor(Node.prototype, "baseURI").get.bind(document);
  const all = Document.prototype.querySelectorAll.bind(document);
  const probe = document.createElement("template");
  const parse = descriptor(Element.prototype, "innerHTML").set.bind(probe);
  const content = probe.content;
  const read = (element, name) => getAttribute.call(element, name);
  // The page that stands for a closed address; nothing for any other.
  const held = (url) => {
    try {
      const to = new URL(url, base());
      if (/^http/.test(to.protocol) && to.origin != origin && !opened.test(to.host + to.pathname))
        return page.replace("%s", () => to.host);
    } catch {
      // No address.
    }
  };
  const lead = (frame, url, act) => {
    const shown = held(url);
    try {
      if (shown && !hasAttribute.call(frame, "srcdoc")) setAttribute.call(frame, "srcdoc", shown);
    } catch {
      // The page has Trusted Types.
    }
    act();
    if (!shown && read(frame, "srcdoc")?.startsWith(own)) removeAttribute.call(frame, "srcdoc");
  };
  const quoted = (text) => text.replace(/[\s"'`=<>&]/g, (one) => `&#${one.charCodeAt()};`);
  // Tag by tag, so that what looks like one within an attribute or a comment remains what it was.
  const clean = (given) => {
    try {
      const text = `${given}`;
      if (!/<iframe/i.test(text)) return given;
      const found = text.replace(/<!--.*?-->|<[a-z](?:"[^"]*"|'[^']*'|[^"'>]+)*/gis, (tag) => {
        if (!/^<iframe[\s/]/i.test(tag)) return tag;
        parse(`${tag}>`);
        const frame = content.firstChild;
        const inner = read(frame, "srcdoc");
        const shown = inner == null && held(read(frame, "src"));
        const inside = inner && clean(inner);
        const now = shown || (inside != inner && inside);
        return now ? `<iframe srcdoc=${quoted(now)}${tag.slice(7)}` : tag;
      });
      return found == text ? given : found;
    } catch {
      return given;
    }
  };
  // The frame of the page that a navigation to a closed address aims at by name: it is held.
  const aimed = (name, url) => {
    const shown = name && held(url);
    const frame = shown && [...all("iframe")].find((one) => read(one, "name") == name);
    if (frame) setAttribute.call(frame, "srcdoc", shown);
    return frame;
  };
  const change = (holder, name, make) => {
    const given = descriptor(holder, name);
    if (given) defineProperty(holder, name, { ...given, ...make(given) });
  };
  const known = new WeakSet();
  // All of it in one window; in those that it looks into as well, whose methods are a known way around.
  const hold = (w) => {
    const { Document, Element } = w;
    const Frame = w.HTMLIFrameElement.prototype;
    if (known.has(Frame)) return;
    known.add(Frame);
    for (const [holder, ...names] of [
      [Element.prototype, "innerHTML", "outerHTML", "insertAdjacentHTML", "setHTMLUnsafe"],
      [w.ShadowRoot.prototype, "innerHTML", "setHTMLUnsafe"],
      [Document.prototype, "write", "writeln"],
      [Document, "parseHTMLUnsafe"],
      [w.Range.prototype, "createContextualFragment"],
      [w.DOMParser.prototype, "parseFromString"],
      [Frame, "srcdoc"],
    ])
      for (const name of names)
        change(holder, name, ({ set, value }) =>
          set
            ? { set(text) { set.call(this, clean(text)); } }
            : { value(...given) {
              // In XML such an attribute would be none.
              return value.apply(this, /^[\w/+]+xml$/.test(given[1]) ? given : given.map(clean));
            } },
        );
    change(Frame, "src", ({ set }) => ({
      set(given) {
        const url = `${given}`;
        lead(this, url, () => set.call(this, url));
      },
    }));
    // Of frames alone: the method of all other elements is left as it is.
    ["setAttribute", "setAttributeNS"].forEach((name, at) => {
      Frame[name] = function (...given) {
        const attribute = `${given[at]}`.toLowerCase();
        if (attribute == "srcdoc") given[at + 1] = clean(given[at + 1]);
        const act = () => Element.prototype[name].apply(this, given);
        attribute == "src" ? lead(this, given[at + 1], act) : act();
      };
    });
    for (const name of ["contentWindow", "contentDocument"])
      change(Frame, name, ({ get }) => ({
        get() {
          const found = get.call(this);
          try {
            hold(found.defaultView || found);
          } catch {
            // Another origin's, or no window at all.
          }
          return found;
        },
      }));
  };
  hold(window);
  change(window, "open", ({ value }) => ({
    value(...given) {
      const frame = aimed(given[1], given[0]);
      return frame ? frame.contentWindow : value.apply(this, given);
    },
  }));
  change(HTMLFormElement.prototype, "submit", ({ value }) => ({
    value() {
      if (!aimed(read(this, "target"), read(this, "action"))) value.call(this);
    },
  }));
  // Behind the page's own listeners.
  for (const kind of ["click", "submit"])
    addEventListener(kind, (event) => {
      const { submitter, defaultPrevented, ctrlKey, metaKey, shiftKey } = event;
      if (defaultPrevented || ctrlKey || metaKey || shiftKey) return;
      const at = event.composedPath()[0];
      const from = kind == "click" ? at.closest?.("a,area") : at;
      const of = (name) => (submitter && read(submitter, `form${name}`)) ?? read(from, name);
      if (from && aimed(of("target"), kind == "click" ? read(from, "href") : of("action")))
        event.preventDefault();
    });
})();
