// A page that a service worker makes up, or takes from a cache, comes with no policy of ours: it
// gets the one that this script was sent with. Pages from the network have theirs.
{
  const policy = POLICY;
  const answer = FetchEvent.prototype.respondWith;
  const held = (response) => {
    const given = response.headers.get("content-security-policy") || "";
    if (response.type === "opaqueredirect" || response.type === "error" || given.includes(MARK)) {
      return response;
    }
    const headers = new Headers(response.headers);
    headers.append("content-security-policy", policy);
    const { status, statusText } = response;
    return new Response(response.body, { status, statusText, headers });
  };
  FetchEvent.prototype.respondWith = function (response) {
    const shown = this.request.mode === "navigate";
    return answer.call(this, shown ? Promise.resolve(response).then(held) : response);
  };
}
