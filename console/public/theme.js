try {
  const chosen = localStorage.getItem('ticketflow.theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
} catch {
  // Storage may be forbidden; the system's theme is used then.
}
