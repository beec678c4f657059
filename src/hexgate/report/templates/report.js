(function () {
  "use strict";
  var root = document.documentElement;
  var tools = document.querySelector(".tools");
  var languages = tools.querySelectorAll("[data-lang-to]");

  function speak(lang) {
    root.setAttribute("data-lang", lang);
    root.setAttribute("lang", lang === "zh" ? "zh-CN" : "en");
    document.title = root.getAttribute("data-title-" + lang);
    languages.forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-lang-to") === lang));
    });
  }

  languages.forEach(function (button) {
    button.addEventListener("click", function () { speak(button.getAttribute("data-lang-to")); });
  });
  tools.querySelector("[data-theme-to]").addEventListener("click", function () {
    var system = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    var now = root.getAttribute("data-theme") || system;
    root.setAttribute("data-theme", now === "dark" ? "light" : "dark");
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (each) { each.open = true; });
  });
  tools.hidden = false;
})();
