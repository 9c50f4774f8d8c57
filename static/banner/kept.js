// Tells the site's other pages what was chosen.
new BroadcastChannel("consent").postMessage(document.currentScript.dataset.key);
