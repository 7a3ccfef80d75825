// Asks for the page again while it is open, and shows what has changed: every 2 s while something moves, nearly as often where
// nothing does, rarely where an answer costs much, at most once a minute in a hidden tab. Focus, selection, scroll, open details
// and typed text survive. It also names the browser's time zone in a cookie, so that the pages have its time.
(() => {
  "use strict";
  const USUAL_MS = { moving: 2000, watching: 2500, idle: 15000 };
  const HIDDEN_MS = 60000;
  const MOST_MS = 60000;
  const MOST_NEWS = 3;
  const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

  const live = () => document.getElementById("live");
  let tag = null;
  let failures = 0;
  let timer = null;

  function delay() {
    const usual = USUAL_MS[live().dataset.live];
    return document.hidden ? HIDDEN_MS : Math.min(usual * 2 ** failures, MOST_MS);
  }

  function schedule() {
    clearTimeout(timer);
    timer = live() ? setTimeout(poll, delay()) : null;
  }

  async function poll() {
    const address = location.href;
    try {
      const headers = { "HX-Request": "true", ...(tag && tag.address === address ? { "If-None-Match": tag.value } : {}) };
      const response = await fetch(address, { headers, credentials: "same-origin", redirect: "error" });
      if (response.status === 401) {
        location.reload(); // to the login, which leads back here
        return;
      }
      if (response.status !== 304 && !response.ok) throw new Error(String(response.status));
      if (response.status === 304) tag.value = response.headers.get("ETag") ?? tag.value;
      if (response.ok) {
        const text = await response.text();
        if (address === location.href) {
          show(new DOMParser().parseFromString(text, "text/html"));
          tag = { address, value: response.headers.get("ETag") };
        }
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    document.getElementById("stale").hidden = failures < 2;
    schedule();
  }

  // -- what changes on the page

  function show(page) {
    const before = live();
    const after = page.getElementById("live");
    if (!before || !after || before.isEqualNode(after) || before.querySelector("dialog[open]")) return;
    announce(before, after);
    const kept = remember(before);
    document.title = page.title;
    before.replaceWith(document.adoptNode(after));
    restore(kept);
    if (window.htmx) window.htmx.process(after);
    document.dispatchEvent(new CustomEvent("notifyflow:shown"));
  }

  // Says to screen readers what is new: the texts that have the attribute data-news, and were not there before.
  function announce(before, after) {
    const said = (root) => [...root.querySelectorAll("[data-news]")].map((each) => each.textContent.replace(/\s+/g, " ").trim());
    const known = new Set(said(before));
    const news = said(after).filter((each) => each && !known.has(each));
    if (!news.length) return;
    const more = news.length > MOST_NEWS ? `; ${news.length - MOST_NEWS} more changes` : "";
    document.getElementById("news").textContent = news.slice(0, MOST_NEWS).join("; ") + more;
  }

  function remember(root) {
    const focused = root.contains(document.activeElement) ? document.activeElement : null;
    const withId = (selector) => [...root.querySelectorAll(selector)].filter((each) => each.id);
    return {
      details: withId("details").map((each) => [each.id, each.open]),
      typed: withId("input, textarea").filter(isTyped).map((each) => [each.id, each.value]),
      chosen: withId("select").map((each) => [each.id, each.value]),
      scrolled: withId("*").filter((each) => each.scrollLeft || each.scrollTop).map((each) => [each.id, each.scrollLeft, each.scrollTop]),
      focus: focused && placeOf(focused),
      selection: focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null,
      place: [scrollX, scrollY],
    };
  }

  // Where an element is: within which element that has an id, and which of those that can have the focus it is there.
  function placeOf(element) {
    const named = element.closest("[id]");
    return [named.id, [...named.querySelectorAll(FOCUSABLE)].indexOf(element)];
  }

  function elementAt([id, number]) {
    const named = document.getElementById(id);
    return named && number >= 0 ? named.querySelectorAll(FOCUSABLE)[number] : named;
  }

  function isTyped(field) {
    return field.type === "checkbox" || field.type === "radio" ? false : field.value !== field.defaultValue;
  }

  function restore(kept) {
    const each = (entries, put) => entries.forEach(([id, ...values]) => {
      const found = document.getElementById(id);
      if (found) put(found, ...values);
    });
    each(kept.details, (found, open) => { found.open = open; });
    each(kept.typed, (found, value) => { found.value = value; });
    each(kept.chosen, (found, value) => { if ([...found.options].some((option) => option.value === value)) found.value = value; });
    const focused = kept.focus && elementAt(kept.focus);
    if (focused) {
      focused.focus({ preventScroll: true });
      if (kept.selection && kept.selection[0] !== null) focused.setSelectionRange(...kept.selection);
    }
    each(kept.scrolled, (found, left, top) => { found.scrollLeft = left; found.scrollTop = top; });
    scrollTo(...kept.place);
  }

  // -- on paper

  function unfold() {
    document.querySelectorAll("#timeline:not([open]), .earlier:not([open])").forEach((each) => {
      each.open = true;
      each.dataset.unfolded = "";
    });
  }

  function fold() {
    document.querySelectorAll("[data-unfolded]").forEach((each) => {
      each.open = false;
      delete each.dataset.unfolded;
    });
  }

  // -- in which zone

  function nameZone() {
    const isSecure = location.protocol === "https:";
    const name = isSecure ? "__Host-notifyflow_zone" : "notifyflow_zone";
    const cookie = `${name}=${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
    if (document.cookie.split("; ").includes(cookie)) return;
    document.cookie = `${cookie}; path=/; max-age=31536000; samesite=lax${isSecure ? "; secure" : ""}`;
    if (live()) poll(); // what is shown was written for another zone
  }

  // -- when it happens

  nameZone();
  document.querySelector(".top [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

  document.addEventListener("visibilitychange", () => {
    if (!live()) return;
    if (document.hidden) schedule();
    else { failures = 0; clearTimeout(timer); poll(); }
  });
  addEventListener("pagehide", () => clearTimeout(timer));
  addEventListener("pageshow", schedule);
  document.addEventListener("htmx:afterSettle", schedule);
  addEventListener("beforeprint", unfold);
  addEventListener("afterprint", fold);
})();
