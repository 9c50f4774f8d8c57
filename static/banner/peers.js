// No policy holds peer connections to hosts, so a page that needs none has none; nor has a frame or
// a new window that it looks into, whose own copy is a known way around. What such a window's own
// script does, and a frame reached by its number, is out of reach here.
{
  const held = (found, name) => {
    try {
      const other = name === "contentDocument" ? found.defaultView : found;
      if (!other.RTCPeerConnection) return;
      for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete other[name];
      for (const kind of ["IFrame", "Frame", "Object"]) {
        const { prototype } = other[`HTML${kind}Element`];
        for (const name of ["contentWindow", "contentDocument"]) {
          const given = Object.getOwnPropertyDescriptor(prototype, name);
          const get = function () {
            const found = given.get.call(this);
            held(found, name);
            return found;
          };
          Object.defineProperty(prototype, name, { ...given, get });
        }
      }
      const { open } = other;
      other.open = (...given) => {
        const opened = open.apply(other, given);
        held(opened);
        return opened;
      };
    } catch {
      // Another origin's, or no window at all.
    }
  };
  held(window);
}
