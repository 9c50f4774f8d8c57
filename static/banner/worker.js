// A page that a service worker makes up, or takes from a cache, never passes the proxy. What it has
// kept was sent for an earlier choice, maybe: it is shown while the visitor's state is the one that
// it was made for. Else the page comes from the network, or, where there is none, under a policy by
// which no third party acts. What it makes up has the policy that this script was sent with, while
// that was for the visitor's state.
{
  const { policy, closed, key, mark, state } = DATA;
  const field = "content-security-policy";
  const ask = fetch;
  const { clone } = Response.prototype;
  const { respondWith } = FetchEvent.prototype;
  const preload = Object.getOwnPropertyDescriptor(FetchEvent.prototype, "preloadResponse");
  const fresh = new WeakSet();
  // What came from the proxy has its policy; what a data: or blob: URL holds has none.
  const noted = (response) => {
    if (response && response.url.startsWith(`${location.origin}/`)) fresh.add(response);
    return response;
  };
  self.fetch = (...asked) => ask(...asked).then(noted);
  Response.prototype.clone = function () {
    const made = clone.call(this);
    if (fresh.has(this)) fresh.add(made);
    return made;
  };
  if (preload) {
    Object.defineProperty(FetchEvent.prototype, "preloadResponse", {
      ...preload,
      get() { return preload.get.call(this).then(noted); },
    });
  }
  const under = (response, policy) => {
    const headers = new Headers(response.headers);
    headers.append(field, policy);
    const { status, statusText } = response;
    return new Response(response.body, { status, statusText, headers });
  };
  const held = async (response, request) => {
    if (response.type === "opaqueredirect" || response.type === "error" || fresh.has(response)) {
      return response;
    }
    const now = await ask(state).then((reply) => reply.json()).then((found) => found.key, () => "");
    if (now && now !== key) registration.update().catch(() => {});
    if (!(response.headers.get(field) || "").includes(mark)) {
      return under(response, now === key ? policy : closed);
    }
    if (now && (await clone.call(response).text()).includes(`data-key="${now}"`)) return response;
    return ask(request).catch(() => under(response, closed));
  };
  FetchEvent.prototype.respondWith = function (response) {
    const { request } = this;
    const shown = request.mode === "navigate";
    return respondWith.call(this, shown ? Promise.resolve(response).then((one) => held(one, request)) : response);
  };
}
