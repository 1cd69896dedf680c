"use strict";
// Changes of the room come as server-sent events and are put into the table that is there; without this script the page loads itself
// again. Texts are only ever set as text.
(() => {
  const table = document.getElementById("machines");
  const every = document.getElementById("every");
  for (const form of document.forms) {
    form.addEventListener("submit", (e) => {
      const ask = e.submitter && e.submitter.dataset.ask;
      if (ask && !confirm(ask)) e.preventDefault();
    });
  }
  if (every) {
    every.hidden = false;
    every.addEventListener("change", () => {
      for (const box of table.querySelectorAll("[name=target]")) box.checked = every.checked;
    });
  }
  if (!table || !window.EventSource) return;

  const body = table.tBodies[0], blank = document.getElementById("row").content;
  const $ = (id) => document.getElementById(id);
  const rows = new Map(Array.from(body.rows, (tr) => [tr.dataset.id, tr]));

  const text = (node, value) => {
    if (node && node.textContent !== value) node.textContent = value;
  };

  function make(id) {
    const tr = blank.querySelector("tr").cloneNode(true);
    tr.dataset.id = id;
    tr.querySelector("[data-c=name]").href = "/node/" + encodeURIComponent(id);
    tr.querySelector(".log a").href = "/node/" + encodeURIComponent(id) + "/log";
    const box = tr.querySelector("[name=target]");
    if (box) box.value = id;
    rows.set(id, tr);
    return tr;
  }

  // update puts the changed cells of a row in; it reports whether the order of rows may have changed.
  function update(tr, cells) {
    let moved = false;
    for (const [name, value] of Object.entries(cells)) {
      if (name === "key") {
        moved = tr.dataset.key !== value;
        tr.dataset.key = value;
      } else if (name === "state") {
        tr.dataset.state = value;
      } else {
        text(tr.querySelector("[data-c=" + name + "]"), value);
      }
      if (name === "percent") {
        tr.querySelector(".bar").toggleAttribute("data-none", value === "");
        tr.querySelector("progress").value = Number(value);
      }
      if (name === "name") {
        tr.querySelector(".log a").setAttribute("aria-label", "Log of " + value);
        const box = tr.querySelector("[name=target]");
        if (box) box.setAttribute("aria-label", "Choose " + value);
      }
    }
    return moved;
  }

  // sort puts the rows in order around the one that has the focus: that one is never taken out, or it would lose it.
  function sort() {
    const order = Array.from(rows.values()).sort((a, b) => (a.dataset.key < b.dataset.key ? -1 : 1));
    const fixed = order.find((tr) => tr.contains(document.activeElement) && tr.parentNode === body);
    let before = true;
    for (const tr of order) {
      if (tr === fixed) before = false;
      else if (fixed && before) body.insertBefore(tr, fixed);
      else body.appendChild(tr);
    }
  }

  function findings(list) {
    const items = list.map((f) => {
      const li = document.createElement("li"), strong = document.createElement("strong");
      li.dataset.severity = strong.textContent = f.severity;
      li.append(strong, ": " + f.what + ". What to do: " + f.do);
      return li;
    });
    $("findings").replaceChildren(...items);
    $("problems").hidden = items.length === 0 && !$("problems").querySelector("ul:not(#findings)");
  }

  let picture = 0;
  function gave(now) {
    if (now - picture < 3000) return;
    picture = now;
    for (const [selector, name] of [["source", "srcset"], ["img", "src"]]) {
      const node = $("gave").querySelector(selector), url = new URL(node[name], location);
      url.searchParams.set("t", Math.floor(now / 1000));
      node[name] = url.href;
    }
  }

  // say tells those who hear the page what has changed, seldom.
  let said = 0, waiting = "", timer = 0;
  function say(what) {
    waiting = what;
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      said = Date.now();
      text($("say"), waiting);
    }, Math.max(500, said + 15000 - Date.now()));
  }

  function take(event) {
    const e = JSON.parse(event.data);
    let moved = false;
    for (const [id, cells] of Object.entries(e.rows || {})) {
      const tr = rows.get(id);
      if (tr) moved = update(tr, cells) || moved;
      else update(make(id), cells), moved = true;
    }
    const gone = e.full ? Array.from(rows.keys()).filter((id) => !(id in e.rows)) : e.gone || [];
    for (const id of gone) {
      if (rows.has(id)) rows.get(id).remove();
      rows.delete(id);
    }
    if (moved) sort();
    for (const [name, value] of Object.entries(e.text || {})) {
      if (name === "title") document.title = value;
      else text(document.querySelector("[data-t=" + name + "]"), value);
    }
    if (e.findings) findings(e.findings);
    if (e.gave) {
      $("gave").hidden = false;
      $("gave").querySelector("ul").replaceChildren(...e.gave.map((t) => Object.assign(document.createElement("li"), { textContent: t })));
      gave(Date.now());
    }
    if (e.say) say(e.say);
    $("none").hidden = rows.size > 0;
  }

  let source = null, retry = 0;
  function connect() {
    if (source || document.hidden) return;
    source = new EventSource(table.dataset.events);
    source.onopen = () => text($("live"), " · changes show by themselves");
    source.onmessage = take;
    source.onerror = () => {
      text($("live"), " · the seeder does not answer; trying again");
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        clearTimeout(retry);
        retry = setTimeout(connect, 5000);
      }
    };
  }
  // A page that nobody sees asks for nothing.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return connect();
    if (source) source.close();
    source = null;
  });
  connect();
})();
