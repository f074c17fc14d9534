"use strict";

// --- tables: a button in each heading sorts by that column; a second press turns the order round ---

function sortTable(table, heading) {
  const headings = [...heading.parentElement.children];
  const column = headings.indexOf(heading);
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");

  // A row that continues the one above moves with it.
  const groups = [];
  for (const row of table.tBodies[0].rows) {
    if (row.classList.contains("more") && groups.length) groups.at(-1).push(row);
    else groups.push([row]);
  }
  const numbers = heading.classList.contains("number");
  const sign = descending ? -1 : 1;
  groups.sort(([a], [b]) => {
    const [one, other] = [a.cells[column], b.cells[column]];
    if (!numbers) return sign * one.textContent.localeCompare(other.textContent, "en", { numeric: true });
    const [missing, alsoMissing] = [!("value" in one.dataset), !("value" in other.dataset)];
    if (missing || alsoMissing) return missing - alsoMissing; // what was not measured comes last in both orders
    return sign * (one.dataset.value - other.dataset.value);
  });
  table.tBodies[0].append(...groups.flat());
}

for (const table of document.querySelectorAll("table:not(.settings)")) {
  if (table.tBodies.length === 0 || table.tBodies[0].rows.length < 2) continue;
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortTable(table, heading));
    heading.append(button);
  }
}

// --- one paper alone ---

const chosen = document.getElementById("paper"); // the page of benchmarks has none

function showPaper() {
  const one = chosen.value;
  for (const element of document.querySelectorAll("[data-paper]"))
    element.hidden = one !== "" && element.dataset.paper !== one;
  for (const element of document.querySelectorAll("[data-shared]")) element.hidden = one !== "";
  if (one) document.getElementById(one).open = true;
}

if (chosen) {
  chosen.addEventListener("change", showPaper);
  chosen.closest(".filter").hidden = false;
  document.getElementById("unfold").addEventListener("click", () => {
    for (const part of document.querySelectorAll("details.part")) part.open = true;
  });
}

// --- an address with a place: what hides that place is opened ---

function showPlace() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  for (let element = place; element; element = element.parentElement)
    if (element instanceof HTMLDetailsElement) element.open = true;
  if (chosen && place.closest("[hidden]")) {
    chosen.value = "";
    showPaper();
  }
  place.scrollIntoView();
}

addEventListener("hashchange", showPlace);
showPlace();

// --- quotes: a press shows one without this; here a pointer or the keyboard's focus does too ---

for (const button of document.querySelectorAll("button[popovertarget]")) {
  const quote = document.getElementById(button.getAttribute("popovertarget"));
  const show = () => {
    if (!quote.matches(":popover-open")) quote.showPopover({ source: button });
  };
  // Later, so that the pointer can go over to the quote and rest there.
  const leave = () =>
    setTimeout(() => {
      if (!quote.matches(":hover") && !button.matches(":hover, :focus")) quote.hidePopover();
    }, 200);
  button.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse") show();
  });
  button.addEventListener("pointerleave", leave);
  quote.addEventListener("pointerleave", leave);
  button.addEventListener("focus", () => {
    if (button.matches(":focus-visible")) show();
  });
  button.addEventListener("blur", leave);
}
