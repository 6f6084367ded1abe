// What makes the pages a little easier. Each of them works without it.
"use strict";

for (const button of document.querySelectorAll(".scripted")) button.hidden = false;

const copy = document.getElementById("copy");
if (copy && navigator.clipboard) {
  const label = copy.textContent;
  copy.setAttribute("aria-live", "polite");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("key-raw").textContent.trim());
    copy.textContent = copy.dataset.done;
    setTimeout(() => { copy.textContent = label; }, 2000);
  });
} else if (copy) {
  copy.hidden = true; // no clipboard without TLS, save on localhost
}

document.getElementById("print")?.addEventListener("click", () => window.print());

// The server says how many seconds are left, so that a wrong clock on this side does not matter.
const opened = performance.now();
const digits = new Intl.NumberFormat(document.documentElement.lang, { useGrouping: false });
const two = new Intl.NumberFormat(document.documentElement.lang, { minimumIntegerDigits: 2 });

function show(element) {
  const left = Math.ceil(element.dataset.seconds - (performance.now() - opened) / 1000);
  if (left > 3600) return true; // "2 hours" is better than a clock
  element.textContent = left > 0
    ? `${digits.format(Math.floor(left / 60))}:${two.format(left % 60)}`
    : element.dataset.over;
  return left > 0;
}

const clocks = [...document.querySelectorAll(".clock")];
if (clocks.length) {
  const tick = setInterval(() => {
    if (!clocks.map(show).some(Boolean)) clearInterval(tick);
  }, 1000);
}
