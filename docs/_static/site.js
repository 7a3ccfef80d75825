// Lets the keyboard reach what scrolls sideways.
function reach() {
  for (const each of document.querySelectorAll(".table-wrapper, pre, figure")) {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
