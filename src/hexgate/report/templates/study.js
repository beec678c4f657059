(function () {
  "use strict";

  function value(row, place) {
    var cell = row.children[place];
    var text = cell.getAttribute("data-v");
    if (text === null) { return null; }
    var number = Number(text);
    return cell.classList.contains("num") && !isNaN(number) ? number : text;
  }

  function compare(one, other) {
    if (typeof one === "number" && typeof other === "number") { return one - other; }
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  }

  document.querySelectorAll("table.sorts").forEach(function (table) {
    var body = table.tBodies[0];
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    var rows = Array.prototype.slice.call(body.rows);

    function sort(place) {
      var head = heads[place];
      var down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(function (each) { each.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      var keyed = rows.map(function (row, order) { return { row: row, order: order, value: value(row, place) }; });
      keyed.sort(function (one, other) {
        // What has no value stays below, whichever way the others go.
        if (one.value === null || other.value === null) {
          return (one.value === null) - (other.value === null) || one.order - other.order;
        }
        return (down ? -1 : 1) * compare(one.value, other.value) || one.order - other.order;
      });
      keyed.forEach(function (each) { body.appendChild(each.row); });
    }

    heads.forEach(function (head, place) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      button.addEventListener("click", function () { sort(place); });
      head.appendChild(button);
    });

    var box = table.closest(".card").querySelector(".filter");
    var input = box.querySelector("input");
    var count = box.querySelector("output");
    function filter() {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      });
      count.textContent = shown + " / " + rows.length;
    }
    input.addEventListener("input", filter);
    filter();
    box.hidden = false;
  });
})();
