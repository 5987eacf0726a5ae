// Runs before the page is drawn, so that it does not flash in the other colours.
(() => {
  let theme = null;
  try {
    theme = JSON.parse(localStorage.getItem('mistral.cpp.theme'));
  } catch {
    // The browser keeps nothing: the system's colours.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
