// No policy holds peer connections to hosts, so a page that needs none has none.
for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete window[name];
