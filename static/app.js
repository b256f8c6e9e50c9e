// Progressive enhancement: every page works without it.
"use strict";

// Countdowns: elements with the remaining milliseconds in data-countdown.
const span = (ms) => {
  const s = Math.ceil(ms / 1000);
  const two = (large, unit, rest, smaller) =>
    rest ? `${large} ${unit} ${rest} ${smaller}` : `${large} ${unit}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
};

const countDown = (element) => {
  const end = performance.now() + Number(element.dataset.countdown);
  const tick = () => {
    const left = end - performance.now();
    if (left > 0) {
      element.textContent =
        element.dataset.format === "seconds" ? String(Math.ceil(left / 1000)) : span(left);
      setTimeout(tick, Math.min(left, 200));
    } else if (element.dataset.then === "reload") {
      // A little later, so that the key has surely expired.
      setTimeout(() => location.replace(location.pathname + location.search), 150);
    } else {
      element.textContent = element.dataset.over;
    }
  };
  tick();
};

// Live parts: server-sent events replace their content.
const live = (element) => {
  let source;
  const follow = () => {
    source = new EventSource(element.dataset.live);
    source.onmessage = (event) => {
      element.innerHTML = event.data;
      element.classList.remove("is-stale");
    };
    source.onerror = () => element.classList.add("is-stale");
  };
  follow();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && follow());
};

// Forms whose response replaces parts of the page, so that live parts stay connected.
const replaceParts = async (form, submitter) => {
  const body = new URLSearchParams(new FormData(form, submitter));
  const response = await fetch(form.action, { method: "POST", body });
  if (!response.ok) throw new Error(response.statusText);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) part.replaceChildren(...fresh.childNodes);
    part.querySelectorAll("[data-countdown]").forEach(countDown);
  }
};

// Buttons and links show a busy text while a slow response loads.
const busy = (control, text) => {
  control.dataset.idle = control.textContent;
  control.textContent = text;
  control.setAttribute("aria-busy", "true");
};

const idle = () => {
  for (const control of document.querySelectorAll("[aria-busy]")) {
    control.textContent = control.dataset.idle;
    control.removeAttribute("aria-busy");
  }
};

document.querySelectorAll("[data-countdown]").forEach(countDown);
document.querySelectorAll("[data-live]").forEach(live);
document.querySelectorAll("form[data-busy]").forEach((form) =>
  form.addEventListener("submit", (event) =>
    busy(event.submitter ?? form.querySelector("button"), form.dataset.busy),
  ),
);
document.querySelectorAll("form[data-stay]").forEach((form) =>
  form.addEventListener("submit", (event) => {
    if (form.dataset.stay === "no") return;
    event.preventDefault();
    // An error is shown on a page of its own.
    replaceParts(form, event.submitter).catch(() => {
      form.dataset.stay = "no";
      form.requestSubmit(event.submitter);
    });
  }),
);
document.querySelectorAll("a[data-busy]").forEach((link) =>
  link.addEventListener("click", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) busy(link, link.dataset.busy);
  }),
);
// The browser may restore this page as it was left, with a busy button.
addEventListener("pageshow", idle);
