// Nothing here is needed to read the pages: a filter of the contents, buttons that copy, and the
// place in the contents where the reader is.
"use strict";

const filter = document.querySelector(".filter");
if (filter) {
  const rows = [...document.querySelectorAll(".side li")];
  filter.classList.remove("dormant");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const link = row.firstElementChild;
      const text = `${row.textContent} ${link.title} ${link.getAttribute("href")}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

for (const pre of document.querySelectorAll("pre.shell")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pre.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  pre.append(button);
}

const links = new Map([...document.querySelectorAll('.side a[href^="#"]')].map((a) => [a.hash.slice(1), a]));
if (links.size && "IntersectionObserver" in window) {
  let current = null;
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const link = links.get(entry.target.id);
      if (!entry.isIntersecting || !link || link === current) continue;
      current?.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
      current = link;
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const section of document.querySelectorAll(".operation, .schema")) observer.observe(section);
}

const menu = document.getElementById("menu");
document.querySelector(".side")?.addEventListener("click", (event) => {
  if (menu && event.target.closest("a")) menu.checked = false;
});
