// What pages can do beyond forms and links. Everything works without it.
"use strict";

// Time that runs down: an element with its milliseconds in data-countdown.
const span = (ms) => {
  const s = Math.ceil(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
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
      // A moment later, so that the key is gone for certain.
      setTimeout(() => location.replace(location.pathname + location.search), 150);
    } else {
      element.textContent = element.dataset.over;
    }
  };
  tick();
};

// Panels that follow the samples.
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

// A form whose answer renews some parts of the page, so that what is live goes on.
const stay = async (form, submitter) => {
  const body = new URLSearchParams(new FormData(form, submitter));
  const answer = await fetch(form.action, { method: "POST", body });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) part.replaceChildren(...fresh.childNodes);
    part.querySelectorAll("[data-countdown]").forEach(countDown);
  }
};

// A button that says it is at work, for answers that take seconds.
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
    // What is refused is told by a page of its own.
    stay(form, event.submitter).catch(() => {
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
// Back from the next page, the old one may be shown as it was left.
addEventListener("pageshow", idle);
