(() => {
  "use strict";
  document.documentElement.classList.add("scripted");
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  // Not the panel's own id, which the browser would scroll to.
  const hash = (tab) => "#section-" + (tabs.indexOf(tab) + 1);
  const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
  const choose = (tab, focus) => {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      panel(one).hidden = !chosen;
    }
    if (focus) tab.focus();
    tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => {
      choose(tab, false);
      history.replaceState(null, "", hash(tab));
    });
    tab.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const next = {
        ArrowRight: place === last ? 0 : place + 1,
        ArrowLeft: place === 0 ? last : place - 1,
        Home: 0,
        End: last,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      choose(tabs[next], true);
    });
  });
  const asked = () => tabs.find((tab) => hash(tab) === location.hash);
  addEventListener("hashchange", () => asked() && choose(asked(), false));
  if (tabs.length) choose(asked() || tabs[0], false);

  for (const button of document.querySelectorAll(".open")) {
    button.addEventListener("click", () => {
      const frame = document.getElementById(button.dataset.opens);
      if (!frame.firstChild) {
        const inside = document.createElement("iframe");
        inside.title = frame.dataset.title;
        inside.addEventListener("load", () => {
          const fit = () => {
            inside.style.height = inside.contentDocument.body.scrollHeight + 24 + "px";
          };
          new ResizeObserver(fit).observe(inside.contentDocument.body);
        });
        inside.srcdoc = JSON.parse(document.getElementById(frame.id + "-page").textContent);
        frame.append(inside);
      }
      frame.hidden = !frame.hidden;
      button.setAttribute("aria-expanded", String(!frame.hidden));
      button.textContent = (frame.hidden ? "Open" : "Close") + " the interactive viewer";
    });
  }

  for (const button of document.querySelectorAll(".copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copies).textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy by hand";
      }
    });
  }

  const number = (cell) => {
    const value = parseFloat(cell.textContent.replace(/[,\s]/g, "").replace("−", "-").replace(/^</, ""));
    return Number.isNaN(value) ? -Infinity : value;
  };
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    if (body.rows.length < 2) continue;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      const numeric = head.classList.contains("number");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [a.cells[column], b.cells[column]];
          const order = numeric
            ? number(x) - number(y)
            : x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
          return down ? -order : order;
        });
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.append(...rows);
      });
    });
  }
})();
