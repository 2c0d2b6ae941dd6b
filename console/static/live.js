// Keeps the page live: takes fragments from the console's stream and works them into the page, so that
// focus, selection and scroll position stay where they are. The page is whole without it.
"use strict";
(() => {
  const address = document.body.dataset.live;
  const silenceMax = 35000; // the stream has a beat every 10 s
  const retryAfter = 2000;
  let source = null;
  let heard = 0;
  let timer = 0;

  const partsNamed = (name) => document.querySelectorAll(`[data-live-part="${name}"]`);

  // What a script has drawn is not the server's to change.
  const keeps = (node) => node.nodeType === 1 && node.hasAttribute("data-keep");

  function put(name, html) {
    for (const part of partsNamed(name)) {
      Idiomorph.morph(part, html, {
        morphStyle: "innerHTML",
        callbacks: { beforeNodeMorphed: (old) => !keeps(old) },
      });
    }
    document.dispatchEvent(new CustomEvent("live", { detail: name }));
  }

  function title() {
    const open = document.querySelector("[data-open]");
    const count = open ? Number(open.dataset.open) : 0;
    const plain = document.title.replace(/^\(\d+\) /, "");
    document.title = count > 0 ? `(${count}) ${plain}` : plain;
  }

  function lost() {
    document.documentElement.dataset.stream = "lost";
    for (const word of document.querySelectorAll("[data-live-word]")) {
      word.textContent = document.body.dataset.lost;
    }
  }

  function close() {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
  }

  function again() {
    close();
    lost();
    timer = setTimeout(open, retryAfter);
  }

  function open() {
    close();
    if (document.hidden) return;
    heard = Date.now();
    source = new EventSource(address);
    const note = () => {
      heard = Date.now();
      document.documentElement.dataset.stream = "open";
    };
    source.addEventListener("beat", note);
    for (const name of ["state", "banner", "badge", "main"]) {
      source.addEventListener(name, (event) => {
        note();
        put(name, event.data);
        if (name === "badge") title();
      });
    }
    source.addEventListener("news", (event) => {
      note();
      document.getElementById("news").insertAdjacentHTML("beforeend", event.data);
    });
    source.addEventListener("error", again);
  }

  // A stream that died without a word; browsers do not notice.
  setInterval(() => {
    if (source && Date.now() - heard > silenceMax) again();
  }, 5000);

  // A browser has six connections to a site: tabs that nobody looks at hold none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) open();
  });
  title();
  open();
})();
