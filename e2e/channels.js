// Every way that a page's own script has to reach another host, tried with a window's own objects.
//
// CHANNELS: id -> (w, url) => void. `w` is the window whose objects are used, `url` is on the closed
// host and names the channel by its host and the window by its path. WINDOWS: id -> (address) => the
// window, which is the page's own, a frame's or a popup's.
globalThis.CHANNELS_SOURCE = `(${function (global) {
  const XHTML = "http://www.w3.org/1999/xhtml";
  const SVG = "http://www.w3.org/2000/svg";
  const place = (w, head = false) =>
    (head && w.document.head) || w.document.body || w.document.documentElement;
  const make = (w, name, properties = {}, namespace = XHTML) => {
    const element = w.document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
    return element;
  };
  const add = (w, name, properties, namespace) => {
    const element = make(w, name, properties, namespace);
    place(w).append(element);
    return element;
  };
  const link = (rel, more = {}) => (w, url) => {
    place(w, true).append(make(w, "link", { rel, href: url, ...more }));
  };
  const style = (text) => (w, url) => {
    const element = make(w, "style");
    element.textContent = text.replaceAll("URL", url);
    place(w, true).append(element);
  };
  const script = (text, more = {}) => (w, url) => {
    const element = make(w, "script", more);
    element.textContent = text.replaceAll("URL", url);
    place(w).append(element);
  };
  const markup = (url) => `<img src="${url}">`;
  const blob = (w, text, type = "text/javascript") =>
    w.URL.createObjectURL(new w.Blob([text], { type }));
  const worker = (text, options) => (w, url) =>
    void new w.Worker(blob(w, text.replaceAll("URL", url)), options);
  const socket = (url) => url.replace("http:", "ws:");
  const secure = (url) => url.replace("http:", "https:");
  const hidden = (w, name) => add(w, "iframe", { name, hidden: "" });
  const peer = (w, server) => {
    const connection = new w.RTCPeerConnection({ iceServers: [server] });
    connection.createDataChannel("x");
    return connection.createOffer().then((offer) => connection.setLocalDescription(offer));
  };

  global.CHANNELS = {
    fetch: (w, url) => w.fetch(url),
    "fetch-keepalive": (w, url) =>
      w.fetch(url, { mode: "no-cors", keepalive: true, method: "POST", body: "x" }),
    "fetch-preflight": (w, url) => w.fetch(url, { method: "PUT", headers: { "x-a": "b" } }),
    "fetch-later": (w, url) => void w.fetchLater(secure(url), { activateAfter: 0 }),
    xhr: (w, url) => {
      const request = new w.XMLHttpRequest();
      request.open("GET", url);
      request.send();
    },
    "xhr-sync": (w, url) => {
      const request = new w.XMLHttpRequest();
      request.open("GET", url, false);
      request.send();
    },
    beacon: (w, url) => void w.navigator.sendBeacon(url, "x"),
    image: (w, url) => void (new w.Image().src = url),
    srcset: (w, url) => void add(w, "img", { srcset: `${url} 1x`, sizes: "100vw" }),
    picture: (w, url) => {
      const picture = add(w, "picture");
      picture.append(make(w, "source", { srcset: url }), make(w, "img"));
    },
    "input-image": (w, url) => void add(w, "input", { type: "image", src: url }),
    "body-background": (w, url) => void add(w, "table", { background: url }),
    script: (w, url) => void add(w, "script", { src: url }),
    "script-module": (w, url) => void add(w, "script", { src: url, type: "module" }),
    "script-svg": (w, url) => void add(w, "script", { href: url }, SVG),
    "script-data": (w, url) =>
      void add(w, "script", { src: `data:text/javascript,new Image().src="${url}"` }),
    "import-static": script('import "URL"', { type: "module" }),
    "import-dynamic": script('import("URL")'),
    "import-eval": (w, url) => w.eval(`import("${url}")`),
    "timer-text": (w, url) => void w.setTimeout(`new Image().src="${url}"`),
    "link-stylesheet": link("stylesheet"),
    "link-icon": link("icon"),
    "link-manifest": link("manifest"),
    "link-preload": link("preload", { as: "image" }),
    "link-preload-fetch": link("preload", { as: "fetch", crossorigin: "" }),
    "link-modulepreload": link("modulepreload"),
    "link-prefetch": link("prefetch"),
    "link-prerender": link("prerender"),
    "link-dictionary": link("compression-dictionary"),
    "link-preconnect": link("preconnect"),
    "link-dns-prefetch": link("dns-prefetch"),
    iframe: (w, url) => void add(w, "iframe", { src: url }),
    "iframe-location": (w, url) => void (hidden(w, "l").contentWindow.location = url),
    "iframe-refresh": (w, url) =>
      void (hidden(w, "r").contentDocument.head.innerHTML =
        `<meta http-equiv=refresh content="0;url=${url}">`),
    "iframe-link": (w, url) => {
      hidden(w, "a");
      add(w, "a", { href: url, target: "a" }).click();
    },
    frame: (w, url) => void add(w, "frameset").append(make(w, "frame", { src: url })),
    object: (w, url) => void add(w, "object", { data: url }),
    embed: (w, url) => void add(w, "embed", { src: url }),
    form: (w, url) => {
      hidden(w, "f");
      add(w, "form", { action: url, method: "post", target: "f" }).submit();
    },
    ping: (w, url) => {
      hidden(w, "p");
      add(w, "a", { href: `${global.location.origin}/robots.txt`, ping: url, target: "p" }).click();
    },
    attribution: (w, url) => void add(w, "img", { attributionsrc: secure(url), src: "data:," }),
    popup: (w, url) => void w.open(url),
    video: (w, url) => void add(w, "video", { src: url, preload: "auto" }),
    "video-source": (w, url) => {
      const video = make(w, "video", { preload: "auto" });
      video.append(make(w, "source", { src: url }));
      place(w).append(video);
    },
    "video-poster": (w, url) => void add(w, "video", { poster: url }),
    track: (w, url) => {
      const video = add(w, "video", { crossorigin: "anonymous", src: "data:," });
      const track = make(w, "track", { src: url, default: "", kind: "captions" });
      video.append(track);
      track.track.mode = "showing";
    },
    audio: (w, url) => void new w.Audio(url).load(),
    "svg-image": (w, url) => void add(w, "svg", {}, SVG).append(make(w, "image", { href: url }, SVG)),
    "svg-use": (w, url) => void add(w, "svg", {}, SVG).append(make(w, "use", { href: `${url}#a` }, SVG)),
    "svg-filter": (w, url) =>
      void add(w, "svg", {}, SVG)
        .appendChild(make(w, "filter", {}, SVG))
        .append(make(w, "feImage", { href: url }, SVG)),
    "svg-animated": (w, url) => {
      const image = make(w, "image", {}, SVG);
      image.append(make(w, "set", { attributeName: "href", to: url }, SVG));
      add(w, "svg", {}, SVG).append(image);
    },
    "css-background": (w, url) => void add(w, "p", { style: `background:url("${url}")` }),
    "css-image-set": (w, url) =>
      void add(w, "p", { style: `background:image-set("${url}" 1x)` }),
    "css-content": style('body::before{content:url("URL")}'),
    "css-import": style('@import "URL";'),
    "css-font": style('@font-face{font-family:f;src:url("URL")}html{font-family:f}html::after{content:"x"}'),
    "css-adopted": (w, url) => {
      const sheet = new w.CSSStyleSheet();
      sheet.replaceSync(`html{list-style-image:url("${url}");border-image:url("${url}")}`);
      w.document.adoptedStyleSheets.push(sheet);
    },
    "css-blob": (w, url) =>
      link("stylesheet")(w, blob(w, `@import "${url}";`, "text/css")),
    "font-face": (w, url) => new w.FontFace("g", `url("${url}")`).load(),
    "paint-worklet": (w, url) => w.CSS.paintWorklet.addModule(url),
    "audio-worklet": (w, url) => new w.OfflineAudioContext(1, 128, 44100).audioWorklet.addModule(url),
    "shared-storage-worklet": (w, url) => w.sharedStorage.createWorklet(secure(url)),
    websocket: (w, url) => void new w.WebSocket(socket(url)),
    "websocket-stream": (w, url) => new w.WebSocketStream(socket(url)).opened,
    "event-source": (w, url) => void new w.EventSource(url),
    "web-transport": (w, url, port) => new w.WebTransport(`https://127.0.0.1:${port}/x`).ready,
    "rtc-stun": (w, url, port) => peer(w, { urls: `stun:127.0.0.1:${port}` }),
    "rtc-turn": (w, url, port) =>
      peer(w, { urls: `turn:127.0.0.1:${port}?transport=tcp`, username: "a", credential: "b" }),
    "worker-fetch": worker('fetch("URL")'),
    "worker-import-scripts": worker('importScripts("URL")'),
    "worker-socket": (w, url) => worker(`new WebSocket("${socket(url)}")`)(w, url),
    "worker-event-source": worker('new EventSource("URL")'),
    "worker-module": worker('import "URL"', { type: "module" }),
    "worker-import": worker('import("URL")'),
    "worker-data": (w, url) => void new w.Worker(`data:text/javascript,fetch("${url}")`),
    "worker-nested": (w, url) => {
      const inner = JSON.stringify(`fetch("${url}")`);
      worker(`new Worker(URL.createObjectURL(new Blob([${inner}])))`)(w, "URL");
    },
    "worker-file": (w, url) =>
      void new w.Worker(`${global.location.origin}/worker.js#${encodeURIComponent(url)}`),
    "shared-worker": (w, url) => void new w.SharedWorker(blob(w, `fetch("${url}")`)),
    "shared-worker-file": (w, url) =>
      void new w.SharedWorker(`${global.location.origin}/worker.js#${encodeURIComponent(url)}`),
    "service-worker": (w, url) => {
      const at = encodeURIComponent(url);
      return w.navigator.serviceWorker.register(`${global.location.origin}/sw.js?${at}`, {
        scope: `${global.location.origin}/scope/${at.replaceAll("%", "")}/`,
      });
    },
    "cache-add": (w, url) => w.caches.open("x").then((cache) => cache.add(url)),
    "wasm-streaming": (w, url) => w.WebAssembly.compileStreaming(w.fetch(url)),
    "document-write": (w, url) => {
      const { contentDocument } = hidden(w, "w");
      contentDocument.write(markup(url));
      contentDocument.close();
    },
    "inner-html": (w, url) => void (add(w, "p").innerHTML = markup(url)),
    "insert-adjacent": (w, url) => add(w, "p").insertAdjacentHTML("beforeend", markup(url)),
    "set-html": (w, url) => add(w, "p").setHTML(markup(url), { sanitizer: {} }),
    "set-html-unsafe": (w, url) => add(w, "p").setHTMLUnsafe(markup(url)),
    "dom-parser": (w, url) => {
      const made = new w.DOMParser().parseFromString(markup(url), "text/html");
      place(w).append(w.document.adoptNode(made.querySelector("img")));
    },
    fragment: (w, url) =>
      place(w).append(
        w.document.createRange().createContextualFragment(`<script src="${url}"><\/script>`),
      ),
    template: (w, url) => {
      const template = make(w, "template");
      template.innerHTML = markup(url);
      place(w).append(template.content.cloneNode(true));
    },
    "shadow-root": (w, url) =>
      void (add(w, "p").attachShadow({ mode: "closed" }).innerHTML = markup(url)),
    xslt: (w, url) => {
      const parsed = (text) => new w.DOMParser().parseFromString(text, "text/xml");
      const processor = new w.XSLTProcessor();
      processor.importStylesheet(
        parsed(`<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
          <xsl:template match="/"><img xmlns="${XHTML}" src="${url}"/></xsl:template>
          </xsl:stylesheet>`),
      );
      place(w).append(processor.transformToFragment(parsed("<x/>"), w.document));
    },
    "javascript-url": (w, url) => void (hidden(w, "j").src = `javascript:void fetch("${url}")`),
    "speculation-prefetch": (w, url) =>
      script(`{"prefetch":[{"urls":["${secure(url)}"],"eagerness":"immediate"}]}`, {
        type: "speculationrules",
      })(w, url),
    "speculation-prerender": (w, url) =>
      script(`{"prerender":[{"urls":["${secure(url)}"],"eagerness":"immediate"}]}`, {
        type: "speculationrules",
      })(w, url),
    payment: (w, url) =>
      new w.PaymentRequest([{ supportedMethods: secure(url) }], {
        total: { label: "x", amount: { currency: "USD", value: "1" } },
      }).canMakePayment(),
    identity: (w, url) =>
      w.navigator.credentials.get({
        identity: { providers: [{ configURL: secure(url), clientId: "x", nonce: "x" }] },
      }),
    "interest-group": (w, url) =>
      w.navigator.joinAdInterestGroup({ owner: secure(url), name: "x", updateURL: secure(url) }, 60),
    "background-fetch": async (w, url) => {
      const at = `${global.location.origin}/scope/background/`;
      await w.navigator.serviceWorker.register(`${global.location.origin}/sw.js`, { scope: at });
      const registration = await w.navigator.serviceWorker.getRegistration(at);
      await new Promise((done) => w.setTimeout(done, 300));
      await registration.backgroundFetch.fetch("x", [url]);
    },
  };

  /** Try channels in a window. `ports`: channel -> [url without its path, port]. */
  global.tryChannels = (w, name, ports) => {
    const faults = {};
    for (const [id, [at, port]] of Object.entries(ports)) {
      try {
        const done = global.CHANNELS[id](w, `${at}/${name}`, port);
        done?.catch?.(() => {});
      } catch (error) {
        faults[id] = String(error);
      }
    }
    return faults;
  };
}})(globalThis);`;
(0, eval)(CHANNELS_SOURCE);

{
  const loaded = (frame) =>
    new Promise((done) => {
      frame.onload = () => done(frame.contentWindow);
      setTimeout(() => done(frame.contentWindow), 5000);
    });
  const frame = (properties) => {
    const made = Object.assign(document.createElement("iframe"), properties);
    const window = loaded(made);
    document.body.append(made);
    return window;
  };
  const page = "<!doctype html><title>x</title><body><p>x</p>";
  const blob = () => URL.createObjectURL(new Blob([page], { type: "text/html" }));
  const opened = async (url) => {
    const made = open(url);
    if (!made) throw new Error("no popup");
    const deadline = performance.now() + 5000;
    const there = () => {
      try {
        return made.location.href !== "about:blank" && made.document.readyState === "complete";
      } catch {
        return true;
      }
    };
    while (url !== "about:blank" && !there() && performance.now() < deadline) {
      await new Promise((done) => setTimeout(done, 30));
    }
    return made;
  };

  /** Windows by kind; an address of the site stands behind `frame` and `popup`. */
  const WINDOWS = {
    top: () => window,
    blank: () => frame({}),
    "blank-at-once": () => document.body.appendChild(document.createElement("iframe")).contentWindow,
    "blank-by-index": () => {
      document.body.append(document.createElement("iframe"));
      return window[window.length - 1];
    },
    "blank-in-blank": async () => {
      const inner = (await frame({})).document;
      return inner.body.appendChild(inner.createElement("iframe")).contentWindow;
    },
    "blank-in-object": () => {
      const made = document.createElement("object");
      Object.assign(made, { data: "about:blank", type: "text/html" });
      const window = loaded(made);
      document.body.append(made);
      return window;
    },
    srcdoc: () => frame({ srcdoc: page }),
    blob: () => frame({ src: blob() }),
    javascript: () => frame({ src: `javascript:'${page}'` }),
    frame: (address) => frame({ src: address }),
    "popup-blank": () => opened("about:blank"),
    "popup-blob": () => opened(blob()),
    popup: (address) => opened(address),
  };

  /** Where the parent has no way in, the document tries for itself. */
  const inside = (name, ports) =>
    `${page}<script>${CHANNELS_SOURCE}
    tryChannels(window, ${JSON.stringify(name)}, ${JSON.stringify(ports)})<\/script>`;
  const ALONE = {
    "data-alone": (text) =>
      frame({ src: `data:text/html;base64,${btoa(text)}` }),
    "srcdoc-alone": (text) => frame({ srcdoc: text }),
    "sandbox-alone": (text) => frame({ srcdoc: text, sandbox: "allow-scripts allow-forms" }),
    "blob-alone": (text) =>
      frame({ src: URL.createObjectURL(new Blob([text], { type: "text/html" })) }),
  };

  /** Open a window and try channels in it. Returns what could not be tried, and why. */
  globalThis.tryWindow = async (kind, address, name, ports) => {
    if (ALONE[kind]) {
      await ALONE[kind](inside(name, ports));
      return {};
    }
    const there = await WINDOWS[kind](address);
    try {
      there.document.documentElement.nodeName;
    } catch {
      return { "*": "not reachable" };
    }
    return tryChannels(there, name, ports);
  };
}
