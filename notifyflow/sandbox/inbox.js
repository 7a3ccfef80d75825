// Fetches the page again and puts in only what is new or has moved on, so that nothing that is being read jumps or closes.
setInterval(async () => {
  try {
    const page = new DOMParser().parseFromString(await (await fetch("/" + location.search)).text(), "text/html");
    document.getElementById("counts").replaceWith(page.getElementById("counts"));
    const list = document.getElementById("messages");
    const fresh = [...page.querySelectorAll("article")];
    for (const article of fresh.reverse()) {
      const old = document.getElementById(article.id);
      if (!old) list.prepend(article);
      else if (old.dataset.state !== article.dataset.state) old.replaceWith(article);
    }
    if (fresh.length) list.querySelector(".empty")?.remove();
  } catch { /* the sandbox is away; the next turn asks again */ }
}, 1000);
