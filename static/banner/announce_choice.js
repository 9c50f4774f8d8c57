// Tells the site's other pages what was chosen.
new BroadcastChannel("consent").postMessage(JSON.parse(document.currentScript.dataset.key));
