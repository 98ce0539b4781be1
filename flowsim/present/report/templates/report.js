"use strict";
(function () {
  document.documentElement.classList.add("js");
  const table = document.getElementById("verdict-table");
  const claims = Array.from(document.querySelectorAll("details.claim"));
  const folds = Array.from(document.querySelectorAll("details"));

  // sorting: a click sorts by that column, another one turns the order round
  const key = (row, column) => row.cells[column].dataset.key || row.cells[column].textContent.trim();
  table.querySelectorAll("thead th").forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const numbers = head.classList.contains("number");
      const compare = (a, b) => numbers ? a - b : a.localeCompare(b, "en", { numeric: true });
      const body = table.tBodies[0];
      Array.from(body.rows)
        .sort((a, b) => (down ? -1 : 1) * compare(key(a, column), key(b, column)))
        .forEach((row) => body.append(row));
      table.querySelectorAll("thead th").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });

  // the filter takes what has every term between its commas; rows of the table and claims go together
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const plain = (text) => text.toLowerCase().replace(/\s+/g, " ").trim();
  const texts = new Map(claims.map((claim) => [claim.id, plain(claim.textContent)]));
  filter.addEventListener("input", () => {
    const terms = filter.value.split(",").map(plain).filter(Boolean);
    let count = 0;
    Array.from(table.tBodies[0].rows).forEach((row) => {
      const text = plain(row.textContent) + " " + (texts.get(row.dataset.claim) || "");
      row.hidden = !terms.every((term) => text.includes(term));
      count += row.hidden ? 0 : 1;
      const claim = document.getElementById(row.dataset.claim);
      if (claim) claim.hidden = row.hidden;
    });
    shown.textContent = terms.length ? count + " of " + table.tBodies[0].rows.length + " claims" : "";
  });

  document.getElementById("open-all").addEventListener("click", () => claims.forEach((claim) => { claim.open = true; }));
  document.getElementById("close-all").addEventListener("click", () => claims.forEach((claim) => { claim.open = false; }));

  // a link to a claim unfolds it
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details")) { target.hidden = false; target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();

  // on paper everything is unfolded, and afterwards as it was
  let before = [];
  addEventListener("beforeprint", () => { before = folds.map((fold) => fold.open); folds.forEach((fold) => { fold.open = true; }); });
  addEventListener("afterprint", () => { folds.forEach((fold, i) => { fold.open = before[i]; }); });
})();
