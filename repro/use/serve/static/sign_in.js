// The printed address carries the token behind #: it is sent in the form, and taken out of the address bar.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  history.replaceState(null, "", location.pathname);
  const field = document.getElementById("token");
  field.value = token;
  field.form.submit();
}
